"""A failed recording does not stop the others: one error line each, and a failing exit code at the end."""

import contextlib
import sys
from collections.abc import Iterator

from common import streams
from common.errors import UserError, reason
from common.log import logger


class Guard:
    """Processes many items and continues after a failed one.

    Put everything that is done for a recording (reading, predicting, writing, plotting) into its block.

    Example:
        guard = Guard()
        for name, source, _ in named:
            with guard.one(name):
                print(name, predict(source))
        guard.finish()

    Attributes:
        failures: The number of items that have failed.
    """

    def __init__(self, things: str = "recordings", done: str = "processed"):
        """Start without failures.

        Args:
            things: What the items are, for the last line.
            done: What is done to them, for the last line.
        """
        self.things, self.done = things, done
        self.failures = 0

    @contextlib.contextmanager
    def one(self, name: str) -> Iterator[None]:
        """Print an error of the block as one line that names the recording, and continue.

        Ctrl-C passes through, and so does a closed standard output: there is no use in the other recordings then.

        Args:
            name: Name of the recording; `-` is standard input.
        """
        try:
            yield
        except Exception as error:
            if streams.refused(error):
                raise
            logger.debug("%r", name, exc_info=True)
            print(f"error: {_line(error, name)}", file=sys.stderr)
            self.failures += 1

    def finish(self) -> None:
        """Raise an error if an item failed.

        Raises:
            UserError: States how many.
        """
        if self.failures:
            raise UserError(f"{self.failures} of the {self.things} could not be {self.done}; the lines above say why")


def _line(error: Exception, name: str) -> UserError:
    """Return the error of a recording; a message that already names the recording stays as it is.

    Example:
        >>> _line(ValueError("expected 2 channels"), "a.wav")
        UserError('a.wav: expected 2 channels')
    """
    name = "standard input" if name == "-" else name
    if isinstance(error, UserError):
        message = str(error)
    elif isinstance(error, MemoryError):
        message = "not enough memory"
    elif isinstance(error, OSError):
        message = error.strerror or reason(error)
    else:
        message = reason(error)
    # Compare with the printable form of the name, which messages use.
    return UserError(message if str(UserError(name)) in message else f"{name}: {message}")
