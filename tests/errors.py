"""Errors as whoever gives a command reads them."""

import contextlib
import re
from collections.abc import Iterator

import pytest

from common.errors import UserError


@contextlib.contextmanager
def refused(pattern: str) -> Iterator[pytest.ExceptionInfo]:
    """Expect a `UserError` whose line has a place that the pattern matches, with the dashes of flags."""
    with pytest.raises(UserError) as caught:
        yield caught
    assert re.search(pattern, caught.value.command_line), caught.value.command_line
