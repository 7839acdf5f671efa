"""One-dimensional CNNs on the raw waveform: M3, M5, M11 and M18.

The family is that of Dai et al., "Very deep convolutional neural networks for raw waveforms" (2016), in the widths of
the speaker counting report.
"""

from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization

_STRIDE = 16
_KERNEL_SIZE = 80


def m3(inputs: KerasTensor) -> KerasTensor:
    """Encode a waveform with one convolution after the first; see `_raw_cnn`."""
    return _raw_cnn(inputs, ((32, 1),))


def m5(inputs: KerasTensor) -> KerasTensor:
    """Encode a waveform with three convolutions after the first; see `_raw_cnn`."""
    return _raw_cnn(inputs, ((32, 1), (64, 1), (128, 1)))


def m11(inputs: KerasTensor) -> KerasTensor:
    """Encode a waveform with nine convolutions after the first; see `_raw_cnn`."""
    return _raw_cnn(inputs, ((32, 2), (64, 2), (128, 3), (256, 2)))


def m18(inputs: KerasTensor) -> KerasTensor:
    """Encode a waveform with sixteen convolutions after the first; see `_raw_cnn`."""
    return _raw_cnn(inputs, ((32, 4), (64, 4), (128, 4), (256, 4)))


def _raw_cnn(inputs: KerasTensor, stages: tuple[tuple[int, int], ...]) -> KerasTensor:
    """Stack stages of convolutions with max-pooling between them and a global average at the end.

    Args:
        inputs: Waveforms of shape (batch, samples); the number of samples must be known.
        stages: Filters and number of convolutions, a pair a stage.

    Returns:
        Embedding of shape (batch, filters of the last stage).
    """
    x = _convolution(_fold(inputs), 32, _KERNEL_SIZE // _STRIDE)
    for filters, num_convolutions in stages:
        x = layers.MaxPooling1D(4, padding="same")(x)
        for _ in range(num_convolutions):
            x = _convolution(x, filters, 3)
    return layers.GlobalAveragePooling1D()(x)


def _fold(waveform: KerasTensor) -> KerasTensor:
    """Turn runs of 16 samples into 16 channels, so that a kernel of 5 does what one of 80 with stride 16 did.

    The sums are the same and the kernels map onto each other by a reshape, but a convolution over one channel with a
    stride is slow: M5 trains 1.5 to 1.8 times faster this way. Zeros are added as `padding="same"` would add them.
    """
    samples = waveform.shape[1]
    if samples is None:
        raise ValueError("a raw-waveform CNN must know the number of samples; give keras.Input((samples,))")
    missing = -samples % _STRIDE
    x = layers.Reshape((samples, 1))(waveform)
    x = layers.ZeroPadding1D((missing // 2, missing - missing // 2))(x)
    return layers.Reshape((-1, _STRIDE))(x)


def _convolution(x: KerasTensor, filters: int, kernel_size: int) -> KerasTensor:
    x = layers.Conv1D(filters, kernel_size, padding="same")(x)
    x = FusedBatchNormalization()(x)
    return layers.ReLU()(x)
