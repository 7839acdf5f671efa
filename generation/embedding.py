"""The embedding `texture`, in which music is compared: statistics of mel spectrograms over time and frequency.

The simple embedding, means and deviations of the bands, ignores time: shuffled frames are at distance 0 from the
original. So excerpts are described like sound textures in hearing: by the depth of their modulation at each rate and
scale, by the steepness of onsets relative to decays, and by their spectrum.

The table compares embeddings on 14 tracks of GTZAN, seven as the reference and seven as the test set, in 16 random
draws (`python -m benchmarks.embeddings`). Values are Fréchet distances relative to that of the unchanged test tracks:
median (minimum to maximum).

| | texture | means and deviations | features normalised individually | random network |
|---|---|---|---|---|
| resized to 32 x 32 and back | 17 (8.5 to 23) | 3.5 (2.4 to 6.2) | 77 (44 to 132) | 8.0 (5.0 to 18) |
| resized to 331 x 64 and back | 6.1 (3.4 to 7.6) | 1.4 (1.0 to 1.6) | 34 (19 to 59) | 2.7 (1.3 to 4.3) |
| frames shuffled | 14 (9.7 to 30) | 1.0 | 45 (29 to 103) | 6.0 (1.9 to 19) |
| reversed | 8.7 (4.6 to 15) | 1.0 | 5.5 (3.0 to 15) | 1.0 |
| noise with the same modulations | 2.9 (1.4 to 4.9) | 1.1 (0.9 to 1.4) | 2.5 (1.4 to 4.8) | 1.0 (0.9 to 1.2) |
| 3 dB of noise | 2.1 (1.2 to 3.1) | 1.2 (0.9 to 1.4) | 11 (5.8 to 19) | 1.9 (0.8 to 3.7) |
| one excerpt only | 4.4 (1.4 to 6.7) | 3.6 (1.6 to 8.3) | 3.8 (1.4 to 6.3) | 4.9 (3.1 to 13) |
| 3 dB louder | 1.1 (0.8 to 1.4) | 1.3 (0.7 to 1.9) | 1.1 (0.9 to 1.3) | 1.7 (0.5 to 3.0) |

Features that are normalised individually measure microtexture and little else: half the frames score worse than any
collapse. Modulation energies in dB are even worse, with 130 for the same. A random network ignores direction and phase.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import scipy.fft

from common.errors import UserError

NAME = "texture"
# Number of principal components. The smallest corpus tested has 31 consecutive excerpts; a covariance needs more
# examples than components.
NUM_COMPONENTS = 16
# Values further below the maximum of an excerpt depend on the recording equipment, not on the music.
_RANGE_DB = 80.0
_NUM_GROUPS = 8
# Excerpts processed at once; their transforms need much memory.
_BLOCK_EXCERPTS = 64
_MAX_RATE_OCTAVES = 7
# Time over which changes are measured, the length of an onset or a decay.
_CHANGE_SECONDS = 0.036
# RMS of the change in dB below which a group counts as constant, because the skewness of a constant is undefined.
_STILL_DB = 0.5
# Weight of the family's mean variance in the variance that normalises a feature.
_FAMILY_WEIGHT = 0.2


@dataclasses.dataclass(frozen=True)
class TextureEmbedding:
    """Principal components of `texture_features`, fitted on reference excerpts.

    The embedding is `(features - mean) @ projection`. The total variance of the reference in it is at most 1.

    Attributes:
        sample_rate: Sample rate of the waveforms in Hz.
        hop_length: Hop between frames of the spectrograms in samples.
        mean: Mean features of the reference, shape `(features,)`.
        projection: Normalisation and components in one matrix, shape `(features, dim)`.
    """

    sample_rate: int
    hop_length: int
    mean: np.ndarray
    projection: np.ndarray

    @classmethod
    def fit(
        cls, reference: np.ndarray, sample_rate: int, hop_length: int, num_components: int = NUM_COMPONENTS
    ) -> "TextureEmbedding":
        """Fit the embedding on reference excerpts.

        A feature is divided by its standard deviation in the reference, smoothed towards the mean of its family.
        Modulations of milliseconds vary so little between recordings that otherwise a slight blur would dominate the
        distance.

        Args:
            reference: Mel spectrograms in dB with an absolute reference, shape `(batch, frames, bands)`.
            sample_rate: Sample rate of the waveforms in Hz.
            hop_length: Hop between frames in samples.
            num_components: Number of components; limited to the number of excerpts minus one.

        Returns:
            The fitted embedding.

        Raises:
            UserError: There are fewer than two excerpts, all are equal, or `texture_features` raises it.
        """
        return cls.of_features(
            texture_features(reference, sample_rate, hop_length), sample_rate, hop_length, num_components
        )

    @classmethod
    def of_features(
        cls, features: np.ndarray, sample_rate: int, hop_length: int, num_components: int = NUM_COMPONENTS
    ) -> "TextureEmbedding":
        """Fit the embedding on the `texture_features` of the reference, shape `(batch, features)`; see `fit`."""
        if len(features) < 2 or num_components < 1:
            raise UserError(
                f"received {len(features)} excerpts to fit {num_components} components; expected at least 2 and 1"
            )
        variances = [family.var(axis=0) for family in np.split(features, [_NUM_GROUPS, -_NUM_GROUPS], axis=1)]
        variance = np.concatenate([(1 - _FAMILY_WEIGHT) * v + _FAMILY_WEIGHT * v.mean() for v in variances])
        if not variance.all():
            raise UserError("all reference excerpts are equal; expected different excerpts")
        scale = 1 / np.sqrt(variance * len(variance))
        mean = features.mean(axis=0)
        _, _, components = np.linalg.svd((features - mean) * scale, full_matrices=False)
        kept = components[: min(num_components, len(features) - 1)]
        return cls(sample_rate, hop_length, mean, scale[:, None] * kept.T)

    def __call__(self, spectrograms: np.ndarray) -> np.ndarray:
        """Embed excerpts, each independently of the others.

        Args:
            spectrograms: Mel spectrograms in dB with an absolute reference, shape `(batch, frames, bands)`.

        Returns:
            float64 of shape `(batch, dim)`.

        Raises:
            UserError: The number of features differs from that of the reference, because the excerpts are much shorter
                or longer, or `texture_features` raises it.
        """
        return self.embed(texture_features(spectrograms, self.sample_rate, self.hop_length))

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Embed excerpts, given their `texture_features`, shape `(batch, features)`."""
        if features.shape[1] != len(self.mean):
            raise UserError(
                f"the excerpts have {features.shape[1]} features, the reference {len(self.mean)}; expected excerpts of "
                "the same length with the same number of bands"
            )
        return (features - self.mean) @ self.projection

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the fitted embedding as arrays, for `numpy.savez`."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "TextureEmbedding":
        """Restore an embedding from the arrays of `to_arrays`, or from the file object of `numpy.load`."""
        return cls(int(arrays["sample_rate"]), int(arrays["hop_length"]), arrays["mean"], arrays["projection"])


def texture_features(spectrograms: np.ndarray, sample_rate: int, hop_length: int) -> np.ndarray:
    """Compute texture statistics of mel spectrograms, for each excerpt independently.

    There are three families of features, in this order:

    1. Mean of each group in dB: spectrum and loudness. A gain changes only these features.
    2. Modulation depth in dB RMS for each octave of rate (in time) and each octave of scale (in frequency).
    3. Cube root of the skewness of the change over 36 ms in each group: positive if onsets are steeper than decays.

    The bands are divided into eight groups of neighbouring bands. Octaves of rate go down from half the frame rate.
    Octaves of scale count cycles over all bands; the first one is the change that all bands have in common.

    Args:
        spectrograms: Mel spectrograms in dB with an absolute reference, shape `(batch, frames, bands)`. Values are
            clipped at 80 dB below the maximum of their excerpt.
        sample_rate: Sample rate of the waveforms in Hz.
        hop_length: Hop between frames in samples.

    Returns:
        float64 of shape `(batch, features)`: 65 for 6 s at 64 bands and a hop of 200 samples at 22,050 Hz.

    Raises:
        UserError: The shape is wrong, there are fewer than 8 bands or 16 frames, or a value is not finite.

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
            f"spectrograms have shape {spectrograms.shape}; expected (batch, frames, bands) with at least 16 frames "
            f"and {_NUM_GROUPS} bands"
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
    """Return dB RMS in each octave of rate and scale, shape `(batch, rates * scales)`, ascending; scale varies fastest.

    The sum of squares is the mean square of the windowed deviations, without modulations below the lowest octave of
    rate.
    """
    _, num_frames, num_bands = deviations.shape
    window = np.hanning(num_frames + 2)[1:-1].astype(np.float32)
    # An FFT is several times slower for lengths with large prime factors, such as 662.
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
    """Return a matrix of 0 and 1 that assigns FFT bins to octaves of rate, shape `(bins, rates)`.

    The lowest octave starts at two or more periods per excerpt.
    """
    num_octaves = min(_MAX_RATE_OCTAVES, int(np.log2(num_frames / 4)))
    edges = 0.5 * 2.0 ** np.arange(-num_octaves, 1)
    edges[-1] = 1.0  # the bin at half the frame rate belongs to the highest octave
    rates = np.fft.rfftfreq(length)[:, None]
    return ((rates >= edges[:-1]) & (rates < edges[1:])).astype(np.float32)


def _skewness(changes: np.ndarray) -> np.ndarray:
    """Return the third standardised moment over time, shape `(batch, groups)`; 0 for constant groups."""
    changes = changes - changes.mean(axis=1, keepdims=True)
    return (changes**3).mean(axis=1) / ((changes**2).mean(axis=1) + _STILL_DB**2) ** 1.5
