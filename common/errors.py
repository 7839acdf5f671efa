"""The error that a user can mend, told in one line."""

import difflib
from collections.abc import Iterable

# Letters of a message; the middle of a longer one is left out.
_LONGEST = 1500


class UserError(Exception):
    """Something the user gave cannot be used; the message is one line.

    The line says what happened, what was expected and how to mend it. `common.app.run` prints it without a traceback
    and exits with code 2. Any other exception is a defect of the program and keeps its traceback.
    """

    def __init__(self, message: str):
        # What a message quotes may come from a file that somebody else wrote: it could move the cursor, or never end.
        line = "".join(_printable(letter) for letter in " ".join(str(message).split()))
        if len(line) > _LONGEST:
            line = f"{line[: _LONGEST * 2 // 3]} [...] {line[-_LONGEST // 3 :]}"
        super().__init__(line)


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def nearest(name: str, valid: Iterable[str]) -> str:
    """Suggest the valid name that a misspelt one most resembles.

    Args:
        name: What the user wrote.
        valid: The names that would have been accepted.

    Returns:
        A sentence to append to a message, with its leading space; empty if nothing comes close.

    Example:
        >>> nearest("epoch", ["epochs", "seed"])
        ' Did you mean "epochs"?'
    """
    close = difflib.get_close_matches(name, list(valid), n=1)
    return f' Did you mean "{close[0]}"?' if close else ""
