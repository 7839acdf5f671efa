"""Load TensorFlow for a command: with oneDNN's kernels, and without its notes about this machine.

TensorFlow takes seconds to load, so commands do it when there is something to compute with it: `--help`, a typo or a missing file
do not wait for it. `import tensorflow` in a notebook or in another program is left alone.

TensorFlow switches oneDNN on where a CPU has instructions made for neural networks (AVX512-VNNI and later). On one with
AVX2 alone (AMD Zen 3, one thread, float32) it trained kws' `default` 1.7 times as fast, U-Nets 1.3 times, generation's
`default` 1.4 times. TF_ENABLE_ONEDNN_OPTS=0 switches it off.

TensorFlow 2.21 writes a dozen lines to standard error while it loads and looks for GPUs, before the level of its log
can be set. A command should say what the user needs to know and nothing else; which devices are used is said by
`common.training.loop`. Whoever wants TensorFlow's own notes sets TF_CPP_MIN_LOG_LEVEL=0.
"""

import logging
import os
import sys

_SILENT = "3"


def load_tensorflow() -> None:
    """Import TensorFlow as a command wants it, and say so; again it does nothing."""
    if "tensorflow" in sys.modules:
        return
    logging.info("loading TensorFlow")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # Processes that a command starts find the variable as it was set here.
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", _SILENT) == _SILENT:
        _import_quietly()


def _import_quietly() -> None:
    """Load TensorFlow with standard error closed for native code; Python's exceptions pass as ever."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = _SILENT
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.get_logger().setLevel("ERROR")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
