"""Load TensorFlow for a command, with oneDNN kernels and without its startup messages.

TensorFlow takes seconds to load, so commands load it only when they need it; `--help`, typos and missing files do not
wait for it. `import tensorflow` in a notebook or another program is not affected.

TensorFlow enables oneDNN on CPUs with instructions for neural networks (AVX512-VNNI and later). On a CPU with only AVX2
(AMD Zen 3, one thread, float32) oneDNN trained kws' `default` 1.7 times as fast, U-Nets 1.3 times, generation's
`default` 1.4 times. TF_ENABLE_ONEDNN_OPTS=0 turns it off.

TensorFlow 2.21 prints a dozen lines to standard error while it loads and looks for GPUs, before its log level can be
set. They are hidden here; `common.training.loop` reports the devices. LiteRT prints a line whenever it loads a file, and
has no log level; `without_notes` hides it. TF_CPP_MIN_LOG_LEVEL=0 shows all of them.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from common.log import logger

_SILENT = "3"
# How lines of native code begin that are no errors.
_NOTES = (b"INFO:", b"I0000", b"W0000", b"WARNING: All log messages")
# Whether this process is a command, which may redirect its standard error for a moment; a notebook may not.
_is_command = False


def load_tensorflow() -> None:
    """Import TensorFlow for a command, with a log line; does nothing if it is already imported."""
    global _is_command
    _is_command = True
    if "tensorflow" in sys.modules:
        return
    logger.info("loading TensorFlow")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # Equal to _SILENT also in child processes, which inherit the variable.
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", _SILENT) == _SILENT:
        _import_quietly()


def _import_quietly() -> None:
    """Import TensorFlow without the standard error output of native code; exceptions are raised as usual."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = _SILENT
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.get_logger().setLevel("ERROR")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


@contextlib.contextmanager
def without_notes() -> Iterator[None]:
    """Hide the notes that native code writes to standard error in the block; its errors are printed at the end.

    No effect in programs other than commands, and with TF_CPP_MIN_LOG_LEVEL=0.
    """
    if not _is_command or os.environ.get("TF_CPP_MIN_LOG_LEVEL") != _SILENT:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        try:
            os.dup2(written.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            written.seek(0)
            for line in written:
                if not line.startswith(_NOTES):
                    os.write(2, line)
