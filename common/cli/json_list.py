"""A JSON list on standard output: rows are written as they come, and the list is always closed."""

import json
import re
import sys
from typing import Any, Self

from common import interruption, streams

_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonList:
    """One row per line; an exception or a signal closes the list too.

    Example:
        with JsonList() as rows:
            rows.add({"path": "a.wav"})
    """

    def __enter__(self) -> Self:
        """Start the list."""
        self._separator = "["
        interruption.last_words.append(self._close)
        return self

    def add(self, row: Any) -> None:
        """Write one row atomically and flush."""
        text = to_json(row)
        with interruption.held():
            separator, self._separator = self._separator, ","
            print(f"{separator}\n{text}", end="", flush=True)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        """Close the list, unless standard output is closed."""
        if error is None or not streams.refused(error):
            with interruption.held():
                self._close()

    def _close(self) -> None:
        if self._close in interruption.last_words:
            interruption.last_words.remove(self._close)
            print("[]" if self._separator == "[" else "\n]", flush=True)


def to_json(value: Any) -> str:
    r"""Return one line of JSON that standard output can write.

    Bytes of file names that are not text are escaped, and so is everything beyond ASCII if the encoding is not UTF-8.
    Python reads the same name back.

    Example:
        >>> to_json("caf\udce9")
        '"caf\\udce9"'
    """
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf8")
    text = json.dumps(value, ensure_ascii=not is_utf8)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
