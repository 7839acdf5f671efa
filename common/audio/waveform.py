"""Operations on waveforms in memory: sample rate, length and level."""

import numpy as np
import soxr

# A recording whose peak is below -80 dBFS is silent.
SILENT_PEAK = 1e-4
# Full scale of 16-bit samples; division by a power of two is exact, so a round trip restores the samples.
PCM16_SCALE = 2**15
# Quality of the soxr resampler: 20 bits of precision.
_QUALITY = "HQ"


def from_pcm16(samples: np.ndarray) -> np.ndarray:
    """Convert 16-bit samples to a waveform without rounding; TensorFlow code divides by `PCM16_SCALE` itself.

    Args:
        samples: Integers from -32768 to 32767, of any shape.

    Returns:
        float32 in [-1, 1), of the same shape.

    Example:
        >>> from_pcm16(np.array([-32768, 16384], np.int16)).tolist()
        [-1.0, 0.5]
    """
    return samples.astype(np.float32) / PCM16_SCALE


def to_pcm16(waveform: np.ndarray) -> np.ndarray:
    """Round a waveform to 16-bit samples; samples beyond full scale are clipped.

    Args:
        waveform: Full scale [-1, 1], of any shape.

    Returns:
        int16 in little-endian order, as in audio files, of the same shape.

    Example:
        >>> to_pcm16(np.array([-1.5, 0.5, 1.0])).tolist()
        [-32768, 16384, 32767]
    """
    return np.clip(np.round(waveform * PCM16_SCALE), -PCM16_SCALE, PCM16_SCALE - 1).astype("<i2")


def is_silent(waveform: np.ndarray) -> bool:
    """Whether a waveform is silent: its peak is below -80 dBFS.

    Example:
        >>> is_silent(np.zeros(100))
        True
    """
    return float(np.abs(waveform).max(initial=0.0)) < SILENT_PEAK


def resample(waveform: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Change the sample rate by band-limited interpolation (soxr, quality HQ: 20 bits of precision).

    Args:
        waveform: Shape `(samples,)` or `(samples, channels)`.
        from_rate: Current rate in Hz.
        to_rate: Target rate in Hz.

    Returns:
        float32 with `ceil(samples * to_rate / from_rate)` samples, as `librosa.resample`; the peak may grow slightly.

    Example:
        >>> resample(np.zeros(11025, np.float32), 11025, 16000).shape
        (16000,)
    """
    waveform = np.asarray(waveform, np.float32)
    if from_rate == to_rate:
        return waveform
    num_samples = -(-len(waveform) * int(to_rate) // int(from_rate))
    return fit_length(soxr.resample(waveform, from_rate, to_rate, quality=_QUALITY), num_samples)


def resampler(from_rate: int, to_rate: int, num_channels: int) -> soxr.ResampleStream:
    """Return a resampler for a stream of blocks, equivalent to `resample`."""
    return soxr.ResampleStream(from_rate, to_rate, num_channels, dtype="float32", quality=_QUALITY)


def fit_length(waveform: np.ndarray, num_samples: int) -> np.ndarray:
    """Cut the end of a waveform, or append silence, so that it has `num_samples` samples.

    Args:
        waveform: Shape `(samples,)` or `(samples, channels)`.
        num_samples: Target length.

    Returns:
        Shape `(num_samples,)` or `(num_samples, channels)`.

    Example:
        >>> fit_length(np.array([1.0, 2.0]), 3)
        array([1., 2., 0.])
    """
    missing = max(0, num_samples - len(waveform))
    return np.pad(waveform[:num_samples], [(0, missing)] + [(0, 0)] * (waveform.ndim - 1))


def loudest_excerpt(waveform: np.ndarray, num_samples: int) -> np.ndarray:
    """Return the excerpt with the most energy, the first one of equals; pad shorter waveforms with silence.

    Args:
        waveform: Shape `(samples,)`.
        num_samples: Target length.

    Returns:
        Shape `(num_samples,)`.

    Example:
        >>> loudest_excerpt(np.array([0.0, 0.1, 0.9, 0.8, 0.0]), 2)
        array([0.9, 0.8])
    """
    if len(waveform) <= num_samples:
        return fit_length(waveform, num_samples)
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    start = int(np.argmax(energy[num_samples:] - energy[:-num_samples]))
    return waveform[start : start + num_samples]


def at_peak(waveform: np.ndarray, peak: float = 0.9) -> np.ndarray:
    """Scale a waveform to a peak of `peak`, which leaves headroom for players; silence is unchanged.

    Example:
        >>> at_peak(np.array([0.1, -0.2])).tolist()
        [0.45, -0.9]
    """
    loudest = np.abs(waveform).max(initial=0.0)
    return waveform * (peak / loudest) if loudest > 1e-6 else waveform
