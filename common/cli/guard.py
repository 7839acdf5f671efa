"""One recording never ends the others: what goes wrong with one is told in a line, and the exit code tells of it."""

import contextlib
import logging
import sys
from collections.abc import Iterator

from common import streams
from common.errors import UserError, reason


class Guard:
    """Passes over what fails of many things that are done one after another.

    Reading, answering, writing and drawing of a recording all belong into its block.

    Example:
        guard = Guard()
        for name, source, _ in named:
            with guard.one(name):
                print(name, answer(source))
        guard.finish()

    Attributes:
        failures: How many have failed so far.
    """

    def __init__(self, things: str = "recordings", done: str = "answered"):
        """Count nothing yet.

        Args:
            things: What they are, for the last line.
            done: What could not be done to them.
        """
        self.things, self.done = things, done
        self.failures = 0

    @contextlib.contextmanager
    def one(self, name: str) -> Iterator[None]:
        """Tell what goes wrong in the block in one line, which names the recording, and go on behind it.

        Ctrl-C passes through, and so does a standard output that takes no more: there is no use in the others then.

        Args:
            name: Of the recording; `-` is standard input.
        """
        try:
            yield
        except Exception as error:
            if streams.refused(error):
                raise
            logging.debug("%r", name, exc_info=True)
            print(f"error: {_line(error, name)}", file=sys.stderr)
            self.failures += 1

    def finish(self) -> None:
        """Fail if one has failed.

        Raises:
            UserError: Says how many.
        """
        if self.failures:
            raise UserError(f"{self.failures} of the {self.things} could not be {self.done}; the lines above say why")


def _line(error: Exception, name: str) -> UserError:
    """Say what happened to a recording; a message that names it is left as it is.

    Example:
        >>> _line(ValueError("expected 2 channels"), "a.wav")
        UserError('a.wav: expected 2 channels')
    """
    name = "standard input" if name == "-" else name
    if isinstance(error, UserError):
        message = str(error)
    elif isinstance(error, MemoryError):
        message = "it takes more memory than there is"
    elif isinstance(error, OSError):
        message = error.strerror or reason(error)
    else:
        message = reason(error)
    # As it stands in a message that was made printable.
    return UserError(message if str(UserError(name)) in message else f"{name}: {message}")
