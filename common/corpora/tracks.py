"""Read the mixture and the stems of a track from the rows of a manifest."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from common import audio
from common.corpora import stem_names
from common.errors import UserError
from common.log import logger

MIXTURE = stem_names.MIXTURE
ACCOMPANIMENT = stem_names.ACCOMPANIMENT
# Not a valid file name, so it cannot clash with a stem.
REST = "<rest>"
# A file counts as the sum of others if the energy of the difference is below this fraction of its energy (-30 dB).
_SAME_SUM = 1e-3
# All combinations are tried for at most this many files.
_MOST_COMBINED = 12
_BLOCK_SAMPLES = 2**18
# Channels cancel if the energy of their mean is below this fraction of their energy.
_CANCELLED = 0.01
# A stem counts as the mixture if the energy of the difference is below this fraction of the mixture's energy.
_SAME_ENERGY = 1e-5


def read(
    rows: pd.DataFrame,
    stems: Sequence[str],
    sample_rate: int,
    num_channels: int,
    start: float = 0.0,
    duration: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Read the mixture and the requested stems of a track.

    - An existing stem is read from its file.
    - `mixture` is the mixture itself.
    - `accompaniment`, without a file, is the sum of all other stems, or the mixture minus the requested stems.
    - `REST` is the mixture minus all other requested stems; it may be silent.

    Mono files are copied to both channels of a stereo track. A mono track is the mean of both channels, or the first
    channel of every file if the channels of the mixture cancel. The mixture is recognised by its name or its signal,
    see `recognise`.

    Args:
        rows: The manifest rows of the track.
        stems: Names of the requested stems.
        sample_rate: Rate in hertz to resample to.
        num_channels: 1 or 2.
        start: Start in seconds.
        duration: Length in seconds; None for all.

    Returns:
        The mixture `(samples, channels)`: the file of the mixture if there is one, else the sum of all stems; and the
        stems `(stems, samples, channels)`, float32.

    Raises:
        UserError: A file cannot be read, a stem is missing, or the stems have different lengths.
    """
    sounds = {
        row.stem: _read_stem(row, sample_rate, num_channels, start, duration) for row in rows.itertuples(index=False)
    }
    lengths = {stem: len(sound) for stem, sound in sounds.items()}
    name = rows["track"].iloc[0]
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{stem} {length / sample_rate:.3f} s" for stem, length in lengths.items())
        raise UserError(f"{name}: its stems have different lengths ({listed}); cut them to the same length")
    most_channels = max(sound.shape[1] for sound in sounds.values())
    sounds = {stem: as_channels(name, sound, most_channels) for stem, sound in sounds.items()}
    sounds, parts = recognise(name, sounds)
    mixture = sounds[MIXTURE] if MIXTURE in sounds else sum(sounds[stem] for stem in parts)
    if num_channels == 1 and _cancels(mixture):
        logger.info("%s: the mean of its channels is nearly silent, so the first channel is used", name)
        sounds, mixture = {stem: sound[:, :1] for stem, sound in sounds.items()}, mixture[:, :1]
    else:
        sounds = {stem: as_channels(name, sound, num_channels) for stem, sound in sounds.items()}
        mixture = as_channels(name, mixture, num_channels)
    taken = {}
    for stem in stems:
        if stem == MIXTURE:
            taken[stem] = mixture
        elif stem in sounds:
            taken[stem] = sounds[stem]
        elif stem == ACCOMPANIMENT:
            wanted = [other for other in stems if other not in (ACCOMPANIMENT, REST)]
            taken[stem] = _accompaniment(name, sounds, parts, wanted)
        elif stem != REST:
            raise UserError(f"{name} has no stem {stem!r} (it has {', '.join(lengths)}); choose others by --stems")
    if REST in stems:
        taken[REST] = mixture - sum(taken.values())
    return mixture, np.stack([taken[stem] for stem in stems])


def check(name: str, mixture: np.ndarray, stems: dict[str, np.ndarray]) -> None:
    """Reject a track that is useless for training because a stem is silent or equal to the mixture.

    Args:
        name: Name of the track, for messages.
        mixture: Shape `(samples, channels)`.
        stems: The signal of each stem, of the same shape.

    Raises:
        UserError: A stem is silent or equal to the mixture.
    """
    energy = float(np.square(mixture, dtype=np.float64).sum())
    for stem, sound in stems.items():
        if stem == REST:
            continue
        if audio.is_silent(sound):
            raise UserError(f"{name}: its stem {stem} is silent; remove the track or replace the stem")
        if stem != MIXTURE and np.square(mixture - sound, dtype=np.float64).sum() < _SAME_ENERGY * energy:
            raise UserError(f"{name}: its stem {stem} is equal to the mixture; expected a part of the mixture")


def recognise(name: str, sounds: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Find the mixture of a track and the parts that add up to it, by comparing the signals.

    A file that is the sum of two or more others, within -30 dB, is not a part. If there is no mixture and it is the sum
    of all parts, it is the mixture. Otherwise it repeats some parts, like an instrumental next to drums and bass. A
    file equal to the mixture is not a part either.

    Args:
        name: Name of the track, for messages.
        sounds: The signals by stem, all of the same shape `(samples, channels)`.

    Returns:
        The signals, with the mixture stored as `mixture`; and the names of the parts, whose sum is the track.
    """
    stems = [stem for stem in sounds if stem != MIXTURE]
    products = _inner_products([sounds[stem] for stem in sounds])
    index = {stem: number for number, stem in enumerate(sounds)}

    def is_sum(stem: str, others: Sequence[str]) -> bool:
        signs = np.zeros(len(products))
        signs[[index[other] for other in others]] = -1
        signs[index[stem]] += 1
        return signs @ products @ signs < _SAME_SUM * products[index[stem], index[stem]]

    again = [stems[number] for number in _sums(products[np.ix_(*[[index[stem] for stem in stems]] * 2)])]
    parts = [stem for stem in stems if stem not in again]
    if MIXTURE in sounds:
        again += [stem for stem in parts if is_sum(stem, [MIXTURE])]
    elif whole := next((stem for stem in again if is_sum(stem, parts)), None):
        logger.info("%s: %s is the sum of %s and is used as the mixture", name, whole, ", ".join(parts))
        sounds = {MIXTURE if stem == whole else stem: sound for stem, sound in sounds.items()}
        again.remove(whole)
    else:
        again += _derived_by_name(parts)
    if again:
        logger.info("%s: not added to the mixture, since other files contain them: %s", name, ", ".join(again))
    return sounds, [stem for stem in parts if stem not in again]


def _inner_products(sounds: Sequence[np.ndarray]) -> np.ndarray:
    """Return the inner products of all pairs of signals, shape `(sounds, sounds)`, float64."""
    products = np.zeros((len(sounds), len(sounds)))
    for first in range(0, len(sounds[0]), _BLOCK_SAMPLES):
        block = np.stack([sound[first : first + _BLOCK_SAMPLES].ravel() for sound in sounds]).astype(np.float64)
        products += block @ block.T
    return products


def _sums(products: np.ndarray) -> list[int]:
    """Return the indices of the signals that are the sum of at least two others, from the inner products."""
    number = len(products)
    if number < 3:
        return []
    if number <= _MOST_COMBINED:
        chosen = np.array(list(itertools.product((0.0, 1.0), repeat=number)))
    else:
        chosen = 1 - np.eye(number)
    found = []
    for index in range(number):
        signs = -chosen[(chosen[:, index] == 0) & (chosen.sum(axis=1) > 0)]
        signs[:, index] = 1
        left = np.einsum("cs,st,ct->c", signs, products, signs, optimize=True)
        best = left.argmin()
        if left[best] < _SAME_SUM * products[index, index] and (signs[best] < 0).sum() > 1:
            found.append(index)
    return found


def _derived_by_name(parts: list[str]) -> list[str]:
    """Return the parts that by their names repeat others, such as an accompaniment next to two of its parts."""
    derived = [stem for stem in parts if stem_names.is_derived(stem)]
    others = [stem for stem in parts if stem not in derived and stem != "vocals"]
    return derived if len(others) > 1 else []


def _cancels(sound: np.ndarray) -> bool:
    """Whether the channels cancel, so that their mean is nearly silent."""
    energy = np.square(sound, dtype=np.float64).mean()
    return sound.shape[1] > 1 and np.square(sound.mean(axis=1, dtype=np.float64)).mean() < _CANCELLED * energy


def _read_stem(row, sample_rate: int, num_channels: int, start: float, duration: float | None) -> np.ndarray:
    length = row.duration - start if duration is None else min(duration, np.nan_to_num(row.duration - start, nan=1e9))
    waveform, _ = audio.read(row.path, sample_rate, mono=False, start=row.start + start, duration=length)
    if row.channel < 0 and num_channels == 1 and waveform.shape[1] > 2:
        return audio.to_mono(waveform, str(row.path))[:, np.newaxis]
    return as_channels(str(row.path), waveform, 1 if row.channel >= 0 else min(2, waveform.shape[1]), row.channel)


def as_channels(name: str, waveform: np.ndarray, num_channels: int, channel: int = -1) -> np.ndarray:
    """Convert a recording to mono (by the mean) or stereo (by copying).

    Args:
        name: Name of the recording, for messages.
        waveform: Shape `(samples, channels)`.
        num_channels: 1 or 2.
        channel: The channel to use, from 0; -1 for all.

    Returns:
        Shape `(samples, num_channels)`.

    Raises:
        UserError: The recording has no such channel, or more than two.
    """
    if channel >= waveform.shape[1]:
        raise UserError(f"{name} has {waveform.shape[1]} channels; expected at least {channel + 1}")
    if channel >= 0:
        waveform = waveform[:, channel : channel + 1]
    if waveform.shape[1] == num_channels:
        return waveform
    if waveform.shape[1] > 2:
        raise UserError(f"{name} has {waveform.shape[1]} channels; expected one or two: mix it down")
    if num_channels == 1:
        return waveform.mean(axis=1, keepdims=True, dtype=np.float32)
    return np.repeat(waveform, num_channels, axis=1)


def _accompaniment(name: str, sounds: dict[str, np.ndarray], parts: list[str], wanted: list[str]) -> np.ndarray:
    others = [sounds[stem] for stem in parts if stem not in wanted]
    if others:
        return sum(others)
    if MIXTURE not in sounds or not wanted:
        raise UserError(f"{name} has only {', '.join(wanted) or 'its mixture'}; add a mixture or other stems")
    missing = [stem for stem in wanted if stem not in sounds]
    if missing:
        raise UserError(f"{name} has no stem {missing[0]!r} (it has {', '.join(sounds)}); choose others by --stems")
    return sounds[MIXTURE] - sum(sounds[stem] for stem in wanted)
