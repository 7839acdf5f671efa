"""Classification backbones that tasks share: features in, embedding out.

An encoder is a function of a `KerasTensor` and its own keyword options. It builds its network with the functional API
and returns the embedding, shape (batch, size). The task owns both ends: the feature layers before it, and after it the
head, `Dense(num_labels, activation="softmax", dtype="float32")`.

Example:
    >>> import keras
    >>> inputs = keras.Input((101, 40))
    >>> encoder = ENCODERS["bc_resnet"]
    >>> encoder.takes
    'spectrogram'
    >>> encoder.build(inputs, tau=1.0).shape
    (None, 32)
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from keras import KerasTensor

from common.encoders.bc_resnet import bc_resnet
from common.encoders.raw_cnn import m3, m5, m11, m18
from common.encoders.report_cnn import report_cnn


class Encoder(NamedTuple):
    """A backbone and what it reads.

    `takes` is "spectrogram" for an input of shape (batch, frames, bins) and "waveform" for (batch, samples).
    """

    build: Callable[..., KerasTensor]
    takes: Literal["spectrogram", "waveform"]


ENCODERS = {
    "report_cnn": Encoder(report_cnn, "spectrogram"),
    "bc_resnet": Encoder(bc_resnet, "spectrogram"),
    "m3": Encoder(m3, "waveform"),
    "m5": Encoder(m5, "waveform"),
    "m11": Encoder(m11, "waveform"),
    "m18": Encoder(m18, "waveform"),
}
