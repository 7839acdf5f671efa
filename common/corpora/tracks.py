"""A track and what it is made of: a mixture and its stems, read from the rows of a manifest."""

import itertools
import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from common import audio
from common.corpora import stem_names
from common.errors import UserError

MIXTURE = stem_names.MIXTURE
ACCOMPANIMENT = stem_names.ACCOMPANIMENT
# No name that a file could have.
REST = "<rest>"
# A file is the sum of others where what is between them has less than this part of its energy: -30 dB.
_SAME_SUM = 1e-3
# More files than this are not tried in all combinations.
_MOST_COMBINED = 12
_BLOCK_SAMPLES = 2**18
# The channels of a recording cancel where their mean has less than this part of their energy.
_CANCELLED = 0.01
# A stem this near to the mixture, in parts of the mixture's energy, is the mixture.
_SAME_ENERGY = 1e-5


def read(
    rows: pd.DataFrame,
    stems: Sequence[str],
    sample_rate: int,
    num_channels: int,
    start: float = 0.0,
    duration: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Read a track and take it apart.

    A stem that the track has is read; `mixture` is the track itself, for what needs no taking apart; `accompaniment`,
    where it is no file, is all other stems together, or what the mixture has beside the stems that were asked for; `REST`
    is what the mixture has beside them in any case, which may be nothing. Mono files are heard on both channels of a
    stereo track; a mono track is the mean of both, or where they cancel in the mixture the first of every file. Which file
    is the mixture is told by its name or its sound; see `recognise`.

    Args:
        rows: The track's rows of a manifest.
        stems: Names wanted.
        sample_rate: Rate in hertz to resample to.
        num_channels: 1 or 2.
        start: Where to begin, in seconds.
        duration: How much to read, in seconds; None for all.

    Returns:
        The mixture `(samples, channels)`: that of the track where it has one, else the sum of all its stems; and the
        stems `(stems, samples, channels)`, float32.

    Raises:
        UserError: A file cannot be read, a stem is missing, silent, of another length, or is the mixture itself.
    """
    sounds = {
        row.stem: _read_stem(row, sample_rate, num_channels, start, duration) for row in rows.itertuples(index=False)
    }
    lengths = {stem: len(sound) for stem, sound in sounds.items()}
    name = rows["track"].iloc[0]
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{stem} {length / sample_rate:.3f} s" for stem, length in lengths.items())
        raise UserError(f"{name}: its stems are of different lengths ({listed}); cut them alike")
    most_channels = max(sound.shape[1] for sound in sounds.values())
    sounds = {stem: as_channels(name, sound, most_channels) for stem, sound in sounds.items()}
    sounds, parts = recognise(name, sounds)
    mixture = sounds[MIXTURE] if MIXTURE in sounds else sum(sounds[stem] for stem in parts)
    if num_channels == 1 and _cancels(mixture):
        logging.info("%s: its channels cancel, so the first of them is read", name)
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
            raise UserError(f"{name} has no stem {stem!r} (it has {', '.join(lengths)}); name others by --stems")
    if REST in stems:
        taken[REST] = mixture - sum(taken.values())
    return mixture, np.stack([taken[stem] for stem in stems])


def check(name: str, mixture: np.ndarray, stems: dict[str, np.ndarray]) -> None:
    """Refuse a track that cannot teach anything: a network trained on stems that are the mixture returns the mixture.

    Args:
        name: Of the track, for messages.
        mixture: Shape `(samples, channels)`.
        stems: The same for each stem.

    Raises:
        UserError: A stem is silent, or is the mixture.
    """
    energy = float(np.square(mixture, dtype=np.float64).sum())
    for stem, sound in stems.items():
        if stem == REST:
            continue
        if audio.is_silent(sound):
            raise UserError(f"{name}: its stem {stem} is silent; leave the track out or record the stem")
        if stem != MIXTURE and np.square(mixture - sound, dtype=np.float64).sum() < _SAME_ENERGY * energy:
            raise UserError(f"{name}: its stem {stem} is the mixture itself; expected what the mixture is made of")


def recognise(name: str, sounds: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Find out by the sound which file of a track is the mixture, and which are parts of it that belong together.

    A file that is the sum of two others or more, within -30 dB, is no part of its own: it is the mixture, where there is
    none and it is the sum of all parts, or it holds some of them again, as an instrumental does beside drums and bass. Nor
    is a file a part that sounds like the mixture.

    Args:
        name: Of the track, for messages.
        sounds: The files by their stem, all of one shape `(samples, channels)`.

    Returns:
        The files, with the mixture under its name; and the stems that are the parts, whose sum is the track.
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
        logging.info("%s: %s is the sum of %s, and taken for the mixture", name, whole, ", ".join(parts))
        sounds = {MIXTURE if stem == whole else stem: sound for stem, sound in sounds.items()}
        again.remove(whole)
    else:
        again += _derived_by_name(parts)
    if again:
        logging.info("%s: not counted again in the mixture: %s", name, ", ".join(again))
    return sounds, [stem for stem in parts if stem not in again]


def _inner_products(sounds: Sequence[np.ndarray]) -> np.ndarray:
    """Return the inner product of every two sounds, shape `(sounds, sounds)`, float64."""
    products = np.zeros((len(sounds), len(sounds)))
    for first in range(0, len(sounds[0]), _BLOCK_SAMPLES):
        block = np.stack([sound[first : first + _BLOCK_SAMPLES].ravel() for sound in sounds]).astype(np.float64)
        products += block @ block.T
    return products


def _sums(products: np.ndarray) -> list[int]:
    """Return which sounds are the sum of some others, at least two, and of none alone, from their inner products."""
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
    """Return which parts hold others again by their names alone: an accompaniment beside two parts of it."""
    derived = [stem for stem in parts if stem_names.is_derived(stem)]
    others = [stem for stem in parts if stem not in derived and stem != "vocals"]
    return derived if len(others) > 1 else []


def _cancels(sound: np.ndarray) -> bool:
    """Whether the mean of two channels has next to nothing of what they have."""
    energy = np.square(sound, dtype=np.float64).mean()
    return sound.shape[1] > 1 and np.square(sound.mean(axis=1, dtype=np.float64)).mean() < _CANCELLED * energy


def _read_stem(row, sample_rate: int, num_channels: int, start: float, duration: float | None) -> np.ndarray:
    length = row.duration - start if duration is None else min(duration, np.nan_to_num(row.duration - start, nan=1e9))
    waveform, _ = audio.read(row.path, sample_rate, mono=False, start=row.start + start, duration=length)
    if row.channel < 0 and num_channels == 1 and waveform.shape[1] > 2:
        return audio.to_mono(waveform, str(row.path))[:, np.newaxis]
    return as_channels(str(row.path), waveform, 1 if row.channel >= 0 else min(2, waveform.shape[1]), row.channel)


def as_channels(name: str, waveform: np.ndarray, num_channels: int, channel: int = -1) -> np.ndarray:
    """Turn a recording into as many channels as are wanted: mono is heard on both sides, of both sides mono is the mean.

    Args:
        name: Of the recording, for messages.
        waveform: Shape `(samples, channels)`.
        num_channels: 1 or 2.
        channel: The one that is meant, from 0; -1 for all.

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
        raise UserError(f"{name} has nothing beside {', '.join(wanted) or 'its mixture'}; add a mixture or other stems")
    missing = [stem for stem in wanted if stem not in sounds]
    if missing:
        raise UserError(f"{name} has no stem {missing[0]!r} (it has {', '.join(sounds)}); name others by --stems")
    return sounds[MIXTURE] - sum(sounds[stem] for stem in wanted)
