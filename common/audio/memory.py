"""Waveforms in memory: checked, and read like recordings."""

import numbers
from collections.abc import Iterator

import numpy as np

from common.audio import decoding
from common.audio.waveform import from_pcm16
from common.errors import UserError

# Float samples of recordings overshoot 1 a little; samples scaled like integers overshoot by thousands.
_HIGHEST_PEAK = 16.0


class Waveform:
    """A waveform in memory as a `common.audio.decoding.Recording`.

    Args:
        waveform: Shape `(samples,)` or `(samples, channels)`, float in [-1, 1] or int16.
        sample_rate: In Hz.

    Raises:
        UserError: The waveform has another shape or type, no samples, or NaN or infinite samples.
        UserError: The sample rate is out of range.
    """

    encoding = "a waveform in memory"

    def __init__(self, waveform: np.ndarray, sample_rate: int):
        low, high = decoding.LOWEST_SAMPLE_RATE, decoding.HIGHEST_SAMPLE_RATE
        is_whole = isinstance(sample_rate, numbers.Real) and sample_rate == sample_rate // 1
        if not (is_whole and low <= sample_rate <= high):
            raise UserError(f"sample_rate: expected a whole number of {low} to {high} Hz, got {sample_rate!r}")
        self.sample_rate = int(sample_rate)
        self._samples = checked(waveform)
        self.num_samples, self.num_channels = self._samples.shape

    def blocks(
        self, first: int = 0, num_samples: int | None = None, block_values: int = decoding.BLOCK_VALUES
    ) -> Iterator[np.ndarray]:
        """Yield a segment in blocks, float32 of shape `(samples, channels)`."""
        end = self.num_samples if num_samples is None else min(self.num_samples, first + num_samples)
        step = max(1, block_values // self.num_channels)
        for start in range(first, end, step):
            yield self._samples[start : min(end, start + step)]


def checked(waveform: np.ndarray) -> np.ndarray:
    """Return a waveform as float32 of shape `(samples, channels)`.

    Args:
        waveform: Shape `(samples,)` or `(samples, channels)`, float in [-1, 1] or int16.

    Raises:
        UserError: It has another shape or type, no samples, or NaN, infinite or far too large samples.

    Example:
        >>> checked(np.array([16384, -32768], np.int16)).tolist()
        [[0.5], [-1.0]]
    """
    waveform = np.asarray(waveform)
    shape, kind = waveform.shape, waveform.dtype
    is_pcm16 = kind.kind == "i" and kind.itemsize == 2
    if not (np.issubdtype(kind, np.floating) or is_pcm16):
        raise UserError(f"the waveform has samples of type {kind}; expected float in [-1, 1], or int16: convert it")
    if waveform.ndim not in (1, 2):
        raise UserError(f"the waveform has the shape {shape}; expected (samples,) or (samples, channels)")
    if not waveform.size:
        raise UserError("the waveform has no samples; expected at least one")
    if waveform.ndim == 2 and shape[1] > shape[0]:
        raise UserError(f"the waveform has the shape {shape}; expected (samples, channels): transpose it")
    with np.errstate(over="ignore"):
        samples = waveform.astype(np.float32).reshape(len(waveform), -1)
    if not np.isfinite(samples).all():
        raise UserError("the waveform contains NaN or infinite samples; expected finite ones")
    if is_pcm16:
        return from_pcm16(samples)
    peak = np.abs(samples).max()
    if peak > _HIGHEST_PEAK:
        raise UserError(f"the waveform has a peak of {peak:g}; expected float samples in [-1, 1]: divide by full scale")
    return samples
