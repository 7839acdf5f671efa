"""Small LiteRT files that take a waveform, of every form that a front end may have; without recordings."""

import numpy as np
import tensorflow as tf

WINDOW = 400
_FRAME, _HIDDEN, _SCORES = 40, 6, 3
_RNG = np.random.default_rng(0)
_HIDDEN_WEIGHTS = _RNG.normal(0, 1, (_FRAME, _HIDDEN)).astype(np.float32)
_SCORE_WEIGHTS = _RNG.normal(0, 1, (_HIDDEN, _SCORES)).astype(np.float32)


def classify(waveform):
    """Frames, a hidden layer, its mean over the frames, scores: a classifier of sounds in small."""
    with tf.name_scope("network"):
        hidden = tf.nn.relu(tf.reshape(waveform, (-1, _FRAME)) @ _HIDDEN_WEIGHTS)
        pooled = tf.reduce_mean(hidden[tf.newaxis], axis=1, name="pool/Mean")
        return tf.nn.softmax(pooled @ _SCORE_WEIGHTS, name="scores")


def pooled_by_hand(window):
    """What the tensor `pool/Mean` of `classify` is for one window."""
    return np.maximum(window.reshape(-1, _FRAME) @ _HIDDEN_WEIGHTS, 0).mean(axis=0)


def scores_by_hand(window):
    """What the output of `classify` is for one window."""
    powers = np.exp(pooled_by_hand(window) @ _SCORE_WEIGHTS)
    return powers / powers.sum()


def write_litert(path, compute=classify, shapes=((1, WINDOW),), dtype=tf.float32, **options):
    """Convert a function of tensors of these shapes by TensorFlow's converter, with its options, and return the path."""
    signature = [tf.TensorSpec(shape, dtype) for shape in shapes]
    function = tf.function(compute, input_signature=signature, autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
    for name, value in options.items():
        setattr(converter, name, value)
    path.write_bytes(converter.convert())
    return path


def quantized(window=WINDOW, **options):
    """Return options of `write_litert` for a network of 8-bit integers."""
    examples = [[_RNG.normal(0, 0.1, (1, window)).astype(np.float32)] for _ in range(50)]
    return {"optimizations": [tf.lite.Optimize.DEFAULT], "representative_dataset": lambda: iter(examples), **options}
