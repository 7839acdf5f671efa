"""The choices of `--features`; to add one, write a function and list it in `FEATURES`.

Each function takes a configuration and returns a layer from waveforms `(batch, samples)` to features
`(batch, frames, bins)`.

A configuration has `sample_rate`, `n_fft`, `win_length`, `hop_length`, `num_mels` and `num_mfcc`; see
`common.encoders.config.ClassifierConfig`. Keras is imported only when a layer is created.
"""

from typing import Any

from common import features


def log_mel(config: Any) -> Any:
    """Log mel spectrogram."""
    return features.LogMel(sample_rate=config.sample_rate, num_mels=config.num_mels, **_frames(config))


def mfcc(config: Any) -> Any:
    """Mel-frequency cepstral coefficients."""
    return features.MFCC(
        sample_rate=config.sample_rate, num_mfcc=config.num_mfcc, num_mels=config.num_mels, **_frames(config)
    )


def spectrogram_db(config: Any) -> Any:
    """Spectrogram in decibels, linear frequency."""
    return features.Spectrogram(output="db", **_frames(config))


def magnitude(config: Any) -> Any:
    """Magnitude spectrogram, linear frequency, standardized per clip, so that it does not depend on the level."""
    import keras

    layer = features.Spectrogram(output="magnitude", **_frames(config))

    def standardized(waveform: "keras.KerasTensor") -> "keras.KerasTensor":
        spectrogram = layer(waveform)
        mean = keras.ops.mean(spectrogram, axis=(1, 2), keepdims=True)
        deviation = keras.ops.std(spectrogram, axis=(1, 2), keepdims=True)
        return (spectrogram - mean) / (deviation + keras.config.epsilon())

    return standardized


def _frames(config: Any) -> dict[str, int]:
    return {"n_fft": config.n_fft, "win_length": config.win_length, "hop_length": config.hop_length}


FEATURES = {"log_mel": log_mel, "mfcc": mfcc, "spectrogram_db": spectrogram_db, "magnitude": magnitude}
