"""Classification backbones shared by the tasks: features in, embedding out.

An encoder is a function of a `KerasTensor` and keyword options. It builds the network with the functional API and
returns the embedding, shape (batch, size). The task adds the feature layers before it and the head after it,
`Dense(num_labels, activation="softmax", dtype="float32")`.

To add an encoder, write a module in this package and add a line to `ENCODERS`.

Example:
    >>> import keras
    >>> inputs = keras.Input((101, 40))
    >>> encoder = ENCODERS["bc_resnet"]
    >>> encoder.takes
    'spectrogram'
    >>> encoder.build(inputs, tau=1.0).shape
    (None, 32)
"""

import importlib
from collections.abc import Callable
from typing import Literal, NamedTuple


class Encoder(NamedTuple):
    """A backbone and the kind of its input.

    `path` is the location of the function in this package. It is imported when the network is built, so that listing
    the names does not import Keras. `takes` is "spectrogram" for an input of shape (batch, frames, bins) and "waveform"
    for (batch, samples). `features` are the only features of `common.features.choices` that it takes, if there are.
    """

    path: str
    takes: Literal["spectrogram", "waveform"]
    features: str | None = None

    @property
    def build(self) -> Callable:
        """The function that builds the network."""
        module, _, name = self.path.rpartition(".")
        return getattr(importlib.import_module(f"{__name__}.{module}"), name)


ENCODERS = {
    "report_cnn": Encoder("report_cnn.report_cnn", "spectrogram"),
    "bc_resnet": Encoder("bc_resnet.bc_resnet", "spectrogram"),
    "cnn_tdnn": Encoder("cnn_tdnn.cnn_tdnn", "spectrogram"),
    "res_cnn": Encoder("res_cnn.res_cnn", "spectrogram"),
    "ds_cnn": Encoder("ds_cnn.ds_cnn", "spectrogram"),
    "tc_resnet": Encoder("tc_resnet.tc_resnet", "spectrogram"),
    "mhatt_rnn": Encoder("mhatt_rnn.mhatt_rnn", "spectrogram"),
    "crnn": Encoder("recurrent.crnn", "spectrogram"),
    "lstm": Encoder("recurrent.lstm", "spectrogram"),
    "tf_lstm": Encoder("recurrent.tf_lstm", "spectrogram"),
    "cnn_2d_1": Encoder("spectrogram_cnn.cnn_2d_1", "spectrogram"),
    "cnn_2d_2": Encoder("spectrogram_cnn.cnn_2d_2", "spectrogram"),
    "cnn_2d_4": Encoder("spectrogram_cnn.cnn_2d_4", "spectrogram"),
    "countnet": Encoder("countnet.countnet", "spectrogram"),
    "m3": Encoder("raw_cnn.m3", "waveform"),
    "m5": Encoder("raw_cnn.m5", "waveform"),
    "m11": Encoder("raw_cnn.m11", "waveform"),
    "m18": Encoder("raw_cnn.m18", "waveform"),
    "m34_res": Encoder("raw_cnn.m34_res", "waveform"),
    "speech_embedding": Encoder("speech_embedding.speech_embedding", "spectrogram", "speech_mel"),
    "embedding": Encoder("embedding.embedding", "waveform"),
}
