"""The speech embedding of Google: a network that was trained to tell 5,000 keywords apart on 200 million clips.

Lin et al., "Training Keyword Spotters with Limited and Synthesized Speech Data" (ICASSP 2020, arXiv 2002.01322). Its
weights (Apache-2.0) are in two files of the package `pyopen-wakeword`, as LiteRT; the wake words of that package are
not used. The layers here compute what those files compute.

The network takes 76 frames of 10 ms and gives 96 values. It has no padding along time and halves the frames three
times, so a longer clip gives one window every 8 frames, and windows share all computation.
"""

import math

import keras
from keras import KerasTensor, layers

from common.encoders import pretrained

# The name of the pretrained part in a model.
NETWORK = "speech_embedding"
# The layer whose output are the windows.
WINDOWS = "windows"
WINDOW_FRAMES = 76
# Frames from one window to the next.
HOP_FRAMES = 8
# Filters, kernels (frames, bands) and pool of each block. Only the bands are padded.
_PAIRS = ((1, 3), (3, 1)) * 2
_BLOCKS = (
    (24, ((3, 3), (1, 3), (3, 1)), (2, 2)),
    (48, _PAIRS, (1, 2)),
    (72, _PAIRS, (2, 2)),
    (96, _PAIRS, (1, 2)),
    (96, _PAIRS, (2, 2)),
)
_SLOPE, _FLOOR = 0.2, -0.4
# The front end of the file computes decibels of 16-bit samples, / 10 + 2. Features here are the natural logarithm of the
# power of samples in [-1, 1].
_BELS = 1 / math.log(10)
_OFFSET = math.log10(2**30) + 2
# The front end clips 80 dB below the maximum of the clip. In a stream, whose maximum is not known, it clips 80 dB below that
# of a rather quiet word: a quarter of the words of Speech Commands have a smaller maximum than 11.5.
_RANGE = 8.0
_STREAM_FLOOR = 3.0
_HEAD_CHANNELS = 128
_HEAD_KERNEL = 3


def speech_embedding(
    inputs: KerasTensor, *, fine_tune: bool = False, dropout: float = 0.1, pooled: bool = False
) -> KerasTensor:
    """Encode the features of `--model=speech_embedding` with the pretrained network, and convolutions over its windows.

    The pretrained part has 328,224 weights, which are random until those of `common.encoders.pretrained` are set. It is
    frozen unless `fine_tune` is set.

    Args:
        inputs: Natural logarithm of the power in 32 mel bands, shape (batch, frames, 32), at least 76 frames.
        fine_tune: Whether the pretrained network is trained.
        dropout: Dropout rate between the convolutions over the windows; doubled before the head.
        pooled: Whether to pool the windows themselves, without convolutions and dropout: for heads that are fitted to a
            few recordings.

    Returns:
        Embedding of shape (batch, 256), or pooled (batch, 192): the maximum and the mean over the windows.

    Raises:
        ValueError: The clip is shorter than a window.
    """
    if inputs.shape[1] is not None and inputs.shape[1] < WINDOW_FRAMES:
        raise ValueError(f"{inputs.shape[1]} frames, and a window has {WINDOW_FRAMES}")
    embed = network(inputs.shape[1:])
    embed.trainable = fine_tune
    hidden = layers.Identity(name=WINDOWS)(embed(inputs))
    if pooled:
        return layers.Concatenate()([layers.GlobalMaxPooling1D()(hidden), layers.GlobalAveragePooling1D()(hidden)])
    for number in range(2):
        hidden = layers.Conv1D(_HEAD_CHANNELS, _HEAD_KERNEL, padding="same", use_bias=False)(hidden)
        hidden = layers.BatchNormalization(momentum=0.95)(hidden)
        hidden = layers.ReLU()(hidden)
        if not number:
            hidden = layers.SpatialDropout1D(dropout)(hidden)
    pooled = [layers.GlobalMaxPooling1D()(hidden), layers.GlobalAveragePooling1D()(hidden)]
    return layers.Dropout(min(2 * dropout, 0.9))(layers.Concatenate()(pooled))


def network(shape: tuple[int | None, int], *, of_stream: bool = False) -> keras.Model:
    """Build the pretrained network, without its weights.

    Args:
        shape: Frames and bands of a clip, without the batch.
        of_stream: Whether a frame must not depend on the loudest one of the clip.

    Returns:
        A model from natural logarithms of power (batch, frames, 32) to windows (batch, windows, 96).
    """
    inputs = keras.Input(shape, name="log_power")
    x = inputs * _BELS + _OFFSET
    floor = _STREAM_FLOOR if of_stream else keras.ops.max(x, axis=(1, 2), keepdims=True) - _RANGE
    x = keras.ops.maximum(x, floor)
    x = keras.ops.expand_dims(x, axis=3)
    for filters, kernels, pool in _BLOCKS:
        for kernel in kernels:
            x = _convolution(x, filters, kernel)
            # max(leaky ReLU, floor), whose gradient TensorFlow computes faster like this than by `maximum`.
            x = keras.ops.relu(keras.ops.leaky_relu(x, _SLOPE) - _FLOOR) + _FLOOR
        x = layers.MaxPooling2D(pool)(x)
    # The bias is zero in the file, and there for fine-tuning.
    x = layers.Conv2D(pretrained.SIZE, (3, 1))(x)
    return keras.Model(inputs, layers.Reshape((-1, pretrained.SIZE))(x), name=NETWORK)


def _convolution(x: KerasTensor, filters: int, kernel: tuple[int, int]) -> KerasTensor:
    """Convolve with padding along the bands only."""
    if kernel[0] == 1:
        return layers.Conv2D(filters, kernel, padding="same")(x)
    return layers.Conv2D(filters, kernel)(layers.ZeroPadding2D((0, kernel[1] // 2))(x) if kernel[1] > 1 else x)
