"""Errors of TensorFlow that the user can fix. Most are recognised by their text.

This module does not import TensorFlow: if nothing else has, the error is not from TensorFlow.
"""

import sys

from common.errors import UserError


def explain(error: Exception) -> UserError | None:
    """Return the line for an error of TensorFlow or of reading training data; None for a bug."""
    if "tensorflow" not in sys.modules:
        return None
    import tensorflow as tf

    if isinstance(error, tf.errors.UnimplementedError) and "determinis" in error.message.lower():
        return UserError(f"{error.message.split('. ')[0]}; leave --deterministic out, or choose another --model")
    if isinstance(error, tf.errors.OpError | UnicodeDecodeError):
        from common.data import shards

        # TensorFlow reads shards during training, so that no code of ours can catch this there.
        return shards.damage(error)
    return None
