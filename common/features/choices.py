"""The choices of `--features`; to add one, write a function and list it in `FEATURES`.

Each function takes a configuration and returns a layer from waveforms `(batch, samples)` to features
`(batch, frames, bins)`.

A configuration has `sample_rate`, `n_fft`, `win_length`, `hop_length`, `num_mels` and `num_mfcc`; see
`common.encoders.config.ClassifierConfig`. Keras is imported only when a layer is created.
"""

from typing import Any

from common import features

# The sample rate of `speech_mel`.
SPEECH_RATE = 16000
# Edges of the mel bands, where they are not 0 Hz and half the sample rate.
BANDS = {"speech_mel": {"fmin_hz": 60.0, "fmax_hz": 3800.0}}
# The file of the speech embedding takes 16-bit samples, and a power of at least 1e-10.
_SMALLEST_POWER = 1e-10 / 2**30
# Samples at each end of a clip, a quarter of a second: the words of Speech Commands fill their second.
SPEECH_PADDING = 4000


def log_mel(config: Any) -> Any:
    """Log mel spectrogram."""
    return features.LogMel(sample_rate=config.sample_rate, num_mels=config.num_mels, **_frames(config))


def speech_mel(config: Any) -> Any:
    """Log mel spectrogram of the pretrained speech embedding, whose windows go beyond the ends of the clip."""
    import keras

    layer = speech_frames()

    def padded(waveform: "keras.KerasTensor") -> "keras.KerasTensor":
        return layer(keras.ops.pad(waveform, ((0, 0), (SPEECH_PADDING, SPEECH_PADDING))))

    return padded


def speech_frames() -> Any:
    """Log mel spectrogram of `speech_mel` without the silence at the ends."""
    options = {"num_mels": 32, "win_length": 400, "center": False, "offset": _SMALLEST_POWER}
    return features.LogMel(sample_rate=SPEECH_RATE, **options, **BANDS["speech_mel"])


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


FEATURES = {
    "log_mel": log_mel,
    "speech_mel": speech_mel,
    "mfcc": mfcc,
    "spectrogram_db": spectrogram_db,
    "magnitude": magnitude,
}
