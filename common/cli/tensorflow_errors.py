"""What errors of TensorFlow mean to the user. It says most of it in text only.

Nothing here imports TensorFlow: where it has not been imported, no error is its own.
"""

import sys

from common.errors import UserError


def explain(error: Exception) -> UserError | None:
    """Return the line that a TensorFlow error, or an error in reading what a model trains on, is to the user; None for a defect."""
    if "tensorflow" not in sys.modules:
        return None
    import tensorflow as tf

    if isinstance(error, tf.errors.UnimplementedError) and "determinis" in error.message.lower():
        return UserError(f"{error.message.split('. ')[0]}; leave --deterministic out, or choose another --model")
    if isinstance(error, tf.errors.OpError | UnicodeDecodeError):
        from common.data import shards

        # What is read while a model trains has no place of its own to catch this.
        return shards.damage(error)
    return None
