"""The embedding in which music is compared, `texture`: how mel spectrograms change over time and frequency.

Means and deviations of bands, the plain embedding, are all but blind to time: frames in random order are at distance 0
from frames as they were. So excerpts are described as textures are in hearing: by how deep they are modulated at which
rate and scale, by how much steeper onsets are than decays, and by their spectrum.

Chosen by `python -m benchmarks.embeddings` on 14 tracks of GTZAN, seven of them the reference and seven tested, 16 draws.
Fréchet distances, as multiples of the distance of undamaged tracks: medians, smallest and largest.

| | texture | means and deviations | each feature by its own deviation | random network |
|---|---|---|---|---|
| reduced to 32 x 32 and back | 17 (8.5 to 23) | 3.5 (2.4 to 6.2) | 77 (44 to 132) | 8.0 (5.0 to 18) |
| reduced to 331 x 64 and back | 6.1 (3.4 to 7.6) | 1.4 (1.0 to 1.6) | 34 (19 to 59) | 2.7 (1.3 to 4.3) |
| frames shuffled | 14 (9.7 to 30) | 1.0 | 45 (29 to 103) | 6.0 (1.9 to 19) |
| reversed | 8.7 (4.6 to 15) | 1.0 | 5.5 (3.0 to 15) | 1.0 |
| noise of the right modulations | 2.9 (1.4 to 4.9) | 1.1 (0.9 to 1.4) | 2.5 (1.4 to 4.8) | 1.0 (0.9 to 1.2) |
| 3 dB of noise | 2.1 (1.2 to 3.1) | 1.2 (0.9 to 1.4) | 11 (5.8 to 19) | 1.9 (0.8 to 3.7) |
| one excerpt only | 4.4 (1.4 to 6.7) | 3.6 (1.6 to 8.3) | 3.8 (1.4 to 6.3) | 4.9 (3.1 to 13) |
| 3 dB louder | 1.1 (0.8 to 1.4) | 1.3 (0.7 to 1.9) | 1.1 (0.9 to 1.3) | 1.7 (0.5 to 3.0) |

Features divided by their own deviations alone hear microtexture and little else: half the frames are worse than any
collapse. Energies in dB, 130 for the same, are worse still. A random network hears neither direction nor phase.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import scipy.fft

from common.errors import UserError

NAME = "texture"
# Components that are kept: the smallest corpus measured has 31 consecutive excerpts, and a covariance needs more.
NUM_COMPONENTS = 16
# Values further below the loudest of their excerpt say how it was recorded, not how it sounds.
_RANGE_DB = 80.0
_NUM_GROUPS = 8
# Excerpts at a time: their transforms need much memory.
_BLOCK_EXCERPTS = 64
_MAX_RATE_OCTAVES = 7
# Over how long a change is an onset or a decay.
_CHANGE_SECONDS = 0.036
# Change in dB, RMS, below which a group does nothing: without any, skewness is not defined.
_STILL_DB = 0.5
# Share of a family's mean variance in the variance that a feature is divided by.
_FAMILY_SHARE = 0.2


@dataclasses.dataclass(frozen=True)
class TextureEmbedding:
    """Principal components of `texture_features`, fitted on reference excerpts.

    An excerpt's features less `mean`, times `projection`. In its units the reference's
    total variance is at most 1.

    Attributes:
        sample_rate: Of the waveforms, in Hz.
        hop_length: From one frame of the spectrograms to the next, in samples.
        mean: Of the reference's features, shape `(features,)`.
        projection: Scale and components in one, shape `(features, dim)`.
    """

    sample_rate: int
    hop_length: int
    mean: np.ndarray
    projection: np.ndarray

    @classmethod
    def fit(
        cls, reference: np.ndarray, sample_rate: int, hop_length: int, num_components: int = NUM_COMPONENTS
    ) -> "TextureEmbedding":
        """Find scales and components in reference excerpts.

        A feature is divided by its deviation in the reference, but not by much less than is usual in its family: textures
        of milliseconds are so alike in all music that a trace of blur would otherwise outweigh everything else.

        Args:
            reference: Mel spectrograms in dB with an absolute reference, shape `(batch, frames, bands)`.
            sample_rate: Of the waveforms, in Hz.
            hop_length: From one frame to the next, in samples.
            num_components: At most one less than there are excerpts, which it is otherwise cut to.

        Returns:
            An embedding into as many dimensions.

        Raises:
            UserError: There are fewer than two excerpts, all are alike, or `texture_features` refuses them.
        """
        return cls.of_features(
            texture_features(reference, sample_rate, hop_length), sample_rate, hop_length, num_components
        )

    @classmethod
    def of_features(
        cls, features: np.ndarray, sample_rate: int, hop_length: int, num_components: int = NUM_COMPONENTS
    ) -> "TextureEmbedding":
        """Do as `fit` does with what `texture_features` returns for the reference, shape `(batch, features)`."""
        if len(features) < 2 or num_components < 1:
            raise UserError(
                f"received {len(features)} excerpts to fit {num_components} components; expected 2 and 1 at least"
            )
        variances = [family.var(axis=0) for family in np.split(features, [_NUM_GROUPS, -_NUM_GROUPS], axis=1)]
        variance = np.concatenate([(1 - _FAMILY_SHARE) * v + _FAMILY_SHARE * v.mean() for v in variances])
        if not variance.all():
            raise UserError("the reference excerpts are all alike; expected some that differ")
        scale = 1 / np.sqrt(variance * len(variance))
        mean = features.mean(axis=0)
        _, _, components = np.linalg.svd((features - mean) * scale, full_matrices=False)
        kept = components[: min(num_components, len(features) - 1)]
        return cls(sample_rate, hop_length, mean, scale[:, None] * kept.T)

    def __call__(self, spectrograms: np.ndarray) -> np.ndarray:
        """Embed excerpts, each by itself.

        Args:
            spectrograms: Mel spectrograms in dB with an absolute reference, shape `(batch, frames, bands)`.

        Returns:
            float64 of shape `(batch, dim)`.

        Raises:
            UserError: The excerpts are much shorter than those of the reference, or `texture_features` refuses them.
        """
        return self.embed(texture_features(spectrograms, self.sample_rate, self.hop_length))

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Do the same with what `texture_features` returns, shape `(batch, features)`."""
        if features.shape[1] != len(self.mean):
            raise UserError(
                f"the excerpts have {features.shape[1]} features, the reference {len(self.mean)}; expected excerpts as "
                "long, with as many bands"
            )
        return (features - self.mean) @ self.projection

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all that was fitted, for `numpy.savez`."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "TextureEmbedding":
        """Return the embedding that `to_arrays` was called on; `arrays` may be what `numpy.load` returns."""
        return cls(int(arrays["sample_rate"]), int(arrays["hop_length"]), arrays["mean"], arrays["projection"])


def texture_features(spectrograms: np.ndarray, sample_rate: int, hop_length: int) -> np.ndarray:
    """Compute statistics over time of mel spectrograms, each excerpt by itself.

    Three families, in this order; groups are eight of neighbouring bands, octaves of rate go from half the frame rate
    downwards, and octaves of scale are of cycles over all bands, the first of them what all bands share:

    1. mean of each group in dB: spectrum and loudness, the only features that a gain changes;
    2. depth of modulation, in dB RMS, of each octave of rate in time and each octave of scale in frequency;
    3. skewness of the change over 36 ms in each group, its cube root: how much steeper onsets are than decays.

    Args:
        spectrograms: Mel spectrograms in dB with an absolute reference, shape `(batch, frames, bands)`. Values more
            than 80 dB below the largest of their excerpt are raised to that.
        sample_rate: Of the waveforms, in Hz.
        hop_length: From one frame to the next, in samples.

    Returns:
        float64 of shape `(batch, features)`: 65 for 6 s at 64 bands and a hop of 200 samples at 22,050 Hz.

    Raises:
        UserError: The shape is not as stated, there are fewer than 8 bands or 16 frames, or a value is not finite.

    Source:
        McDermott and Simoncelli, "Sound Texture Perception via Statistics of the Auditory Periphery", 2011; Chi, Ru and
        Shamma, "Multiresolution spectrotemporal analysis of complex sounds", 2005.
    """
    spectrograms = _checked(spectrograms)
    change_frames = min(max(1, round(_CHANGE_SECONDS * sample_rate / hop_length)), spectrograms.shape[1] // 2)
    blocks = [
        _features(spectrograms[start : start + _BLOCK_EXCERPTS], change_frames)
        for start in range(0, len(spectrograms), _BLOCK_EXCERPTS)
    ]
    return np.concatenate(blocks).astype(np.float64)


def _features(spectrograms: np.ndarray, change_frames: int) -> np.ndarray:
    spectrograms = np.maximum(spectrograms, spectrograms.max(axis=(1, 2), keepdims=True) - _RANGE_DB)
    mean = spectrograms.mean(axis=1, keepdims=True)
    deviations = spectrograms - mean
    to_groups = _group_means(spectrograms.shape[2])
    groups = deviations @ to_groups
    families = [
        mean[:, 0] @ to_groups,
        _modulation_depths(deviations),
        np.cbrt(_skewness(groups[:, change_frames:] - groups[:, :-change_frames])),
    ]
    return np.concatenate(families, axis=1)


def _checked(spectrograms: np.ndarray) -> np.ndarray:
    spectrograms = np.asarray(spectrograms, np.float32)
    if spectrograms.ndim != 3 or spectrograms.shape[1] < 16 or spectrograms.shape[2] < _NUM_GROUPS:
        raise UserError(
            f"spectrograms have shape {spectrograms.shape}; expected (batch, frames, bands) with 16 frames and "
            f"{_NUM_GROUPS} bands at least"
        )
    if not len(spectrograms):
        raise UserError("received no spectrograms; expected at least one")
    if not np.isfinite(spectrograms).all():
        raise UserError("spectrograms contain NaN or infinite values; expected finite decibels")
    return spectrograms


def _group_means(num_bands: int) -> np.ndarray:
    """Return a matrix that averages neighbouring bands, shape `(bands, groups)`."""
    matrix = np.zeros((num_bands, _NUM_GROUPS), np.float32)
    for group, bands in enumerate(np.array_split(np.arange(num_bands), _NUM_GROUPS)):
        matrix[bands, group] = 1 / len(bands)
    return matrix


def _modulation_depths(deviations: np.ndarray) -> np.ndarray:
    """Return dB RMS in each octave of rate and of scale, shape `(batch, rates * scales)`; both ascend, scales faster.

    The squares of all add up to the mean square of the windowed deviations, less what is slower than the lowest octave.
    """
    _, num_frames, num_bands = deviations.shape
    window = np.hanning(num_frames + 2)[1:-1].astype(np.float32)
    # Lengths with large prime factors, as 662 is, take several times as long.
    length = scipy.fft.next_fast_len(num_frames, real=True)
    cosines = scipy.fft.dct(np.eye(num_bands, dtype=np.float32), norm="ortho", axis=1)
    cepstra = np.ascontiguousarray(np.swapaxes(deviations @ cosines, 1, 2)) * window
    spectra = scipy.fft.rfft(cepstra, length, axis=2)
    powers = spectra.real**2 + spectra.imag**2
    by_rate = powers @ _rate_octaves(num_frames, length) * (2 / (num_bands * length * np.square(window).sum()))
    scales = [0, *(2**octave for octave in range(int(np.log2(num_bands - 1)) + 1))]
    depths = np.sqrt(np.add.reduceat(by_rate, scales, axis=1))
    return depths.swapaxes(1, 2).reshape(len(deviations), -1)


def _rate_octaves(num_frames: int, length: int) -> np.ndarray:
    """Return which bins of a transform belong to which octave of rate, shape `(bins, rates)`.

    The lowest octave begins with two periods in an excerpt or more.
    """
    num_octaves = min(_MAX_RATE_OCTAVES, int(np.log2(num_frames / 4)))
    edges = 0.5 * 2.0 ** np.arange(-num_octaves, 1)
    edges[-1] = 1.0  # the bin at half the frame rate belongs to the highest octave
    rates = np.fft.rfftfreq(length)[:, None]
    return ((rates >= edges[:-1]) & (rates < edges[1:])).astype(np.float32)


def _skewness(changes: np.ndarray) -> np.ndarray:
    """Return the third standardised moment over time, shape `(batch, groups)`; 0 where nothing changes."""
    changes = changes - changes.mean(axis=1, keepdims=True)
    return (changes**3).mean(axis=1) / ((changes**2).mean(axis=1) + _STILL_DB**2) ** 1.5
