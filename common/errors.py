"""The error that a user can mend, told in one line."""

import difflib
import re
from collections.abc import Iterable

# Letters of a message; the middle of a longer one is left out.
_LONGEST = 1500
# How lines begin that stand before what happened.
_WRAPPERS = (
    "Exception encountered when calling",
    "Graph execution error",
    "Detected at node",
    "<stack traces unavailable>",
    "File ",
)
# A command is left as it is; of a flag the dashes are found.
_QUOTED_OR_FLAG = re.compile(r"(?P<quoted>`[^`]*`)|(?<![\w-])--(?:\[no\])?(?=[a-z])")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class UserError(Exception):
    """Something the user gave cannot be used; the message is one line.

    The line says what happened, what was expected and how to mend it. Any other exception is a defect of the program and
    keeps its traceback.

    A message names options as flags, `--epochs`, and commands in backticks. `common.cli.app.run` prints it so, without a
    traceback, and exits with code 2; who calls from Python reads the names of arguments.

    Attributes:
        command_line: The message for somebody who gave a command.

    Example:
        >>> error = UserError("--epochs: expected at least 1, got 0; see `python -m kws.train --help`")
        >>> str(error)
        'epochs: expected at least 1, got 0; see `python -m kws.train --help`'
    """

    def __init__(self, message: str):
        # What a message quotes may come from a file that somebody else wrote: it could move the cursor, or never end.
        line = "".join(_printable(letter) for letter in " ".join(str(message).split()))
        if len(line) > _LONGEST:
            line = f"{line[: _LONGEST * 2 // 3]} [...] {line[-_LONGEST // 3 :]}"
        super().__init__(line)

    @property
    def command_line(self) -> str:
        """The message for somebody who gave a command."""
        return self.args[0]

    def __str__(self) -> str:
        """Return the message for somebody who called a function."""
        return _QUOTED_OR_FLAG.sub(lambda found: found["quoted"] or "", self.args[0])


def reason(error: Exception) -> str:
    """Return the line of an exception's message that says what happened: Keras and TensorFlow put others before it.

    Example:
        >>> reason(ValueError("Exception encountered when calling Dense.call().\\n\\nInvalid input shape"))
        'Invalid input shape'
    """
    lines = [_COLOUR.sub("", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line] or [type(error).__name__]
    return next((line for line in lines if not line.startswith(_WRAPPERS)), lines[0])


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
