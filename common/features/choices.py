"""The layers of `common.features.FEATURES`: each from a configuration to a layer from waveforms `(batch, samples)` to features.

A configuration has `sample_rate`, `n_fft`, `win_length`, `hop_length`, `num_mels` and `num_mfcc`; see
`common.encoders.config.ClassifierConfig`. Features have the shape `(batch, frames, bins)`.
"""

from typing import Any

import keras

from common.features.layers import MFCC, LogMel, Spectrogram


def log_mel(config: Any) -> keras.layers.Layer:
    """Logarithms of mel bands."""
    return LogMel(sample_rate=config.sample_rate, num_mels=config.num_mels, **_frames(config))


def mfcc(config: Any) -> keras.layers.Layer:
    """Mel-frequency cepstral coefficients."""
    return MFCC(sample_rate=config.sample_rate, num_mfcc=config.num_mfcc, num_mels=config.num_mels, **_frames(config))


def spectrogram_db(config: Any) -> keras.layers.Layer:
    """Decibels of linear frequencies."""
    return Spectrogram(output="db", **_frames(config))


def magnitude(config: Any) -> Any:
    """Magnitudes of linear frequencies, of every clip with mean 0 and deviation 1: what is left says nothing about its level."""
    layer = Spectrogram(output="magnitude", **_frames(config))

    def standardized(waveform: keras.KerasTensor) -> keras.KerasTensor:
        spectrogram = layer(waveform)
        mean = keras.ops.mean(spectrogram, axis=(1, 2), keepdims=True)
        deviation = keras.ops.std(spectrogram, axis=(1, 2), keepdims=True)
        return (spectrogram - mean) / (deviation + keras.config.epsilon())

    return standardized


def _frames(config: Any) -> dict[str, int]:
    return {"n_fft": config.n_fft, "win_length": config.win_length, "hop_length": config.hop_length}
