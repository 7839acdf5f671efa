"""Load TensorFlow for a command, with oneDNN kernels and without its startup messages.

TensorFlow takes seconds to load, so commands load it only when they need it; `--help`, typos and missing files do not
wait for it. `import tensorflow` in a notebook or another program is not affected.

TensorFlow enables oneDNN on CPUs with instructions for neural networks (AVX512-VNNI and later). On a CPU with only AVX2
(AMD Zen 3, one thread, float32) oneDNN trained kws' `default` 1.7 times as fast, U-Nets 1.3 times, generation's
`default` 1.4 times. TF_ENABLE_ONEDNN_OPTS=0 turns it off.

TensorFlow 2.21 prints a dozen lines to standard error while it loads and looks for GPUs, before its log level can be
set. They are hidden here; `common.training.loop` reports the devices. TF_CPP_MIN_LOG_LEVEL=0 shows them.
"""

import logging
import os
import sys

_SILENT = "3"


def load_tensorflow() -> None:
    """Import TensorFlow for a command, with a log line; does nothing if it is already imported."""
    if "tensorflow" in sys.modules:
        return
    logging.info("loading TensorFlow")
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
