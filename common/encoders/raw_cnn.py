"""1-D CNNs on the raw waveform: M3, M5, M11, M18 and M34-res.

The networks are those of Dai et al., "Very deep convolutional neural networks for raw waveforms" (2016, arXiv
1610.00087), with the widths of the speaker counting report and its stride of 16 in the first convolution instead of 4.
"""

from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization

_STRIDE = 16
_KERNEL_SIZE = 80
_FILTERS = 32


def m3(inputs: KerasTensor, *, original_widths: bool = False) -> KerasTensor:
    """Encode a waveform with one convolution after the first; see `_raw_cnn`.

    `original_widths` uses the widths of the paper: 256 filters; 221,194 trainable parameters with ten labels.
    """
    return _raw_cnn(inputs, (1,), 256 if original_widths else _FILTERS)


def m5(inputs: KerasTensor, *, original_widths: bool = False) -> KerasTensor:
    """Encode a waveform with three convolutions after the first; see `_raw_cnn`.

    `original_widths` uses the widths of the paper: 128 to 512 filters; 559,114 trainable parameters with ten labels.
    """
    return _raw_cnn(inputs, (1, 1, 1), 128 if original_widths else _FILTERS)


def m11(inputs: KerasTensor, *, original_widths: bool = False) -> KerasTensor:
    """Encode a waveform with nine convolutions after the first; see `_raw_cnn`.

    `original_widths` uses the widths of the paper: 64 to 512 filters; 1,786,442 trainable parameters with ten labels.
    """
    return _raw_cnn(inputs, (2, 2, 3, 2), 64 if original_widths else _FILTERS)


def m18(inputs: KerasTensor, *, original_widths: bool = False) -> KerasTensor:
    """Encode a waveform with sixteen convolutions after the first; see `_raw_cnn`.

    `original_widths` uses the widths of the paper: 64 to 512 filters; 3,683,786 trainable parameters with ten labels.
    """
    return _raw_cnn(inputs, (4, 4, 4, 4), 64 if original_widths else _FILTERS)


def m34_res(inputs: KerasTensor, *, original_widths: bool = False) -> KerasTensor:
    """Encode a waveform with sixteen residual pairs of convolutions after the first; see `_raw_cnn` and `_residual`.

    With three labels the model has 1,775,715 trainable parameters, as in the report, including a bias in every
    convolution and scale and offset in every normalisation. `original_widths` uses the widths of the paper: 48 to 384
    filters; 3,984,154 trainable parameters with ten labels (4,001,242 in all; paper: 4 M).
    """
    return _raw_cnn(inputs, (3, 4, 6, 3), 48 if original_widths else _FILTERS, residual=True)


def _raw_cnn(inputs: KerasTensor, num_blocks: tuple[int, ...], filters: int, residual: bool = False) -> KerasTensor:
    """Stack stages of convolutions with max-pooling between them, followed by a global average.

    Args:
        inputs: Waveforms of shape (batch, samples); the number of samples must be static.
        num_blocks: Number of blocks of each stage.
        filters: Number of filters of the first convolution and the first stage; it doubles from stage to stage.
        residual: Whether a block is a residual pair of convolutions instead of a single one.

    Returns:
        Embedding of shape (batch, filters of the last stage).
    """
    block = _residual if residual else _convolution
    x = _convolution(_fold(inputs), filters, _KERNEL_SIZE // _STRIDE)
    for stage, num_in_stage in enumerate(num_blocks):
        x = layers.MaxPooling1D(4, padding="same")(x)
        for _ in range(num_in_stage):
            x = block(x, filters * 2**stage, 3)
    return layers.GlobalAveragePooling1D()(x)


def _fold(waveform: KerasTensor) -> KerasTensor:
    """Reshape every 16 samples to 16 channels, so that a kernel of 5 replaces a kernel of 80 with a stride of 16.

    The results are the same, and the kernels differ by a reshape only. A strided convolution over one channel is slow:
    M5 trains 1.5 to 1.8 times faster this way. Zeros are added like with `padding="same"`.
    """
    samples = waveform.shape[1]
    if samples is None:
        raise ValueError("a raw-waveform CNN needs a static number of samples; give keras.Input((samples,))")
    missing = -samples % _STRIDE
    x = layers.Reshape((samples, 1))(waveform)
    x = layers.ZeroPadding1D((missing // 2, missing - missing // 2))(x)
    return layers.Reshape((-1, _STRIDE))(x)


def _residual(x: KerasTensor, filters: int, kernel_size: int) -> KerasTensor:
    """Add two convolutions and the input, followed by another normalisation.

    Where the channels double, the shortcut is concatenated with itself and has no parameters. The block is that of
    github.com/philipperemy/very-deep-convnets-raw-waveforms, which follows the advice of the authors of the paper.
    """
    shortcut = x if x.shape[-1] == filters else layers.Concatenate()([x, x])
    x = _convolution(x, filters, kernel_size)
    x = FusedBatchNormalization()(layers.Conv1D(filters, kernel_size, padding="same")(x))
    x = FusedBatchNormalization()(layers.Add()([x, shortcut]))
    return layers.ReLU()(x)


def _convolution(x: KerasTensor, filters: int, kernel_size: int) -> KerasTensor:
    x = layers.Conv1D(filters, kernel_size, padding="same")(x)
    x = FusedBatchNormalization()(x)
    return layers.ReLU()(x)
