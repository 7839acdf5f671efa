"""A track and what it is made of: a mixture and its stems, read from the rows of a manifest."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from common import audio
from common.errors import UserError

MIXTURE = "mixture"
ACCOMPANIMENT = "accompaniment"
# No name that a file could have.
REST = "<rest>"
# A stem whose loudest sample is below -80 dB of full scale holds nothing to learn from.
_SILENT_PEAK = 1e-4
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
    stereo track; a mono track is the mean of both.

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
    lengths = {name: len(sound) for name, sound in sounds.items()}
    name = rows["track"].iloc[0]
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{stem} {length / sample_rate:.3f} s" for stem, length in lengths.items())
        raise UserError(f"{name}: its stems are of different lengths ({listed}); cut them alike")
    files_of_stems = {stem: sound for stem, sound in sounds.items() if stem != MIXTURE}
    mixture = sounds[MIXTURE] if MIXTURE in sounds else sum(files_of_stems.values())
    taken = {}
    for stem in stems:
        if stem == MIXTURE:
            taken[stem] = mixture
        elif stem in files_of_stems:
            taken[stem] = files_of_stems[stem]
        elif stem == ACCOMPANIMENT:
            taken[stem] = _accompaniment(name, sounds, [other for other in stems if other not in (ACCOMPANIMENT, REST)])
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
        if np.abs(sound).max(initial=0.0) < _SILENT_PEAK:
            raise UserError(f"{name}: its stem {stem} is silent; leave the track out or record the stem")
        if stem != MIXTURE and np.square(mixture - sound, dtype=np.float64).sum() < _SAME_ENERGY * energy:
            raise UserError(f"{name}: its stem {stem} is the mixture itself; expected what the mixture is made of")


def _read_stem(row, sample_rate: int, num_channels: int, start: float, duration: float | None) -> np.ndarray:
    length = row.duration - start if duration is None else min(duration, np.nan_to_num(row.duration - start, nan=1e9))
    waveform, _ = audio.read(row.path, sample_rate, mono=False, start=row.start + start, duration=length)
    return as_channels(str(row.path), waveform, num_channels, row.channel)


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


def _accompaniment(name: str, sounds: dict[str, np.ndarray], wanted: list[str]) -> np.ndarray:
    others = [sound for stem, sound in sounds.items() if stem not in (*wanted, MIXTURE)]
    if others:
        return sum(others)
    if MIXTURE not in sounds or not wanted:
        raise UserError(f"{name} has nothing beside {', '.join(wanted) or 'its mixture'}; add a mixture or other stems")
    missing = [stem for stem in wanted if stem not in sounds]
    if missing:
        raise UserError(f"{name} has no stem {missing[0]!r} (it has {', '.join(sounds)}); name others by --stems")
    return sounds[MIXTURE] - sum(sounds[stem] for stem in wanted)
