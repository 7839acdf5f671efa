"""Errors that a user can fix, with a message of one line."""

import difflib
import re
from collections.abc import Iterable

# Longest message in characters; the middle of a longer one is cut out.
_LONGEST = 1500
# Beginnings of lines that precede the actual message in errors of Keras and TensorFlow.
_WRAPPERS = (
    "Exception encountered when calling",
    "Graph execution error",
    "Detected at node",
    "<stack traces unavailable>",
    "File ",
)
# Quoted commands, which stay unchanged, or the dashes of a flag.
_QUOTED_OR_FLAG = re.compile(r"(?P<quoted>`[^`]*`)|(?<![\w-])--(?:\[no\])?(?=[a-z])")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class UserError(Exception):
    """User input that cannot be used; the message is one line.

    The message says what happened, what was expected and how to fix it. Any other exception is a bug and keeps its
    traceback.

    Messages write options as flags, `--epochs`, and commands in backticks. `common.cli.app.run` prints the message
    without a traceback and exits with code 2. In Python, `str(error)` shows flags as argument names.

    Attributes:
        command_line: The message for the command line.

    Example:
        >>> error = UserError("--epochs: expected at least 1, got 0; see `python -m kws.train --help`")
        >>> str(error)
        'epochs: expected at least 1, got 0; see `python -m kws.train --help`'
    """

    def __init__(self, message: str):
        # A message may quote an untrusted file, so control characters are escaped and the length is limited.
        line = "".join(_printable(letter) for letter in " ".join(str(message).split()))
        if len(line) > _LONGEST:
            line = f"{line[: _LONGEST * 2 // 3]} [...] {line[-_LONGEST // 3 :]}"
        super().__init__(line)

    @property
    def command_line(self) -> str:
        """The message for the command line."""
        return self.args[0]

    def __str__(self) -> str:
        """Return the message for Python, with argument names instead of flags."""
        message = self.args[0].replace("--noresume", "Options(resume=False)")
        return _QUOTED_OR_FLAG.sub(lambda found: found["quoted"] or "", message)


def reason(error: Exception) -> str:
    """Return the line of an exception that says what happened: Keras and TensorFlow put other lines before it.

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
    """Suggest the valid name that is closest to a misspelt one.

    Args:
        name: The name that the user wrote.
        valid: The valid names.

    Returns:
        A sentence to append to a message, with a leading space; empty if no name is close.

    Example:
        >>> nearest("epoch", ["epochs", "seed"])
        ' Did you mean "epochs"?'
    """
    close = difflib.get_close_matches(name, list(valid), n=1)
    return f' Did you mean "{close[0]}"?' if close else ""


def install_hint(extra: str) -> str:
    """Return how to install an optional part: by pip where Quartet is a package, by `make setup` in a clone.

    Example:
        >>> install_hint("speech")
        "install the extra speech: pip install 'quartet-audio[speech]', or in a clone of the project: make setup"
    """
    return f"install the extra {extra}: pip install 'quartet-audio[{extra}]', or in a clone of the project: make setup"
