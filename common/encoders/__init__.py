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
from common.encoders.cnn_tdnn import cnn_tdnn
from common.encoders.countnet import countnet
from common.encoders.ds_cnn import ds_cnn
from common.encoders.embedding import embedding
from common.encoders.mhatt_rnn import mhatt_rnn
from common.encoders.raw_cnn import m3, m5, m11, m18, m34_res
from common.encoders.recurrent import crnn, lstm, tf_lstm
from common.encoders.report_cnn import report_cnn
from common.encoders.res_cnn import res_cnn
from common.encoders.spectrogram_cnn import cnn_2d_1, cnn_2d_2, cnn_2d_4
from common.encoders.tc_resnet import tc_resnet


class Encoder(NamedTuple):
    """A backbone and what it reads.

    `takes` is "spectrogram" for an input of shape (batch, frames, bins) and "waveform" for (batch, samples).
    """

    build: Callable[..., KerasTensor]
    takes: Literal["spectrogram", "waveform"]


ENCODERS = {
    "report_cnn": Encoder(report_cnn, "spectrogram"),
    "bc_resnet": Encoder(bc_resnet, "spectrogram"),
    "cnn_tdnn": Encoder(cnn_tdnn, "spectrogram"),
    "res_cnn": Encoder(res_cnn, "spectrogram"),
    "ds_cnn": Encoder(ds_cnn, "spectrogram"),
    "tc_resnet": Encoder(tc_resnet, "spectrogram"),
    "mhatt_rnn": Encoder(mhatt_rnn, "spectrogram"),
    "crnn": Encoder(crnn, "spectrogram"),
    "lstm": Encoder(lstm, "spectrogram"),
    "tf_lstm": Encoder(tf_lstm, "spectrogram"),
    "cnn_2d_1": Encoder(cnn_2d_1, "spectrogram"),
    "cnn_2d_2": Encoder(cnn_2d_2, "spectrogram"),
    "cnn_2d_4": Encoder(cnn_2d_4, "spectrogram"),
    "countnet": Encoder(countnet, "spectrogram"),
    "m3": Encoder(m3, "waveform"),
    "m5": Encoder(m5, "waveform"),
    "m11": Encoder(m11, "waveform"),
    "m18": Encoder(m18, "waveform"),
    "m34_res": Encoder(m34_res, "waveform"),
    "embedding": Encoder(embedding, "waveform"),
}
