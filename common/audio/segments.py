"""Find where somebody speaks in a recording, by its level above the background noise.

The level is measured in short frames. The noise floor is a low percentile of the levels around each frame, so it follows
noise that changes slowly. Speech begins where the level rises well above the floor, and extends as far as it stays
somewhat above it: two thresholds, so that quiet beginnings and ends of words are not cut off.

This finds words with pauses between them. It does not tell speech from other sounds.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common import audio

# What breaks a word is shorter, such as the closure of a plosive.
SHORTEST_PAUSE_SECONDS = 0.25
# What is active for less is no word, such as a click of a key.
SHORTEST_WORD_SECONDS = 0.1
# Added before and after a word, because its first and last sounds may be as quiet as the noise.
PADDING_SECONDS = 0.15

_FRAME_SECONDS, _HOP_SECONDS = 0.025, 0.01
# Lower frequencies hold hum and rumble and little of a voice.
_LOWEST_HZ = 100.0
# The noise floor is this percentile of the levels within so many seconds, measured once a second.
_FLOOR_PERCENTILE, _FLOOR_SECONDS = 15, 15.0
_FLOOR_HOP_SECONDS = 1.0
# Digital silence is no measure of noise: the floor is at least this far below the loudest frame, and at this level.
_LARGEST_RANGE_DB, _QUIETEST_DB = 60.0, -80.0
# The upper threshold is a part of the range from the floor to the loud frames above the floor, within these limits.
_THRESHOLD_PART, _LEAST_DB, _MOST_DB = 0.35, 7.0, 14.0
# The lower threshold, as a part of the upper one.
_LOWER_PART = 0.6
# What is so much weaker than most words of a recording is none of them, such as a breath.
_FAR_BELOW_DB = 30.0
_FRAMES_AT_ONCE = 4096


class Segment(NamedTuple):
    """A word in a recording.

    Attributes:
        start: First sample of the word, without padding.
        end: Sample after its last one.
        level_db: Level of its loudest 25 ms in dBFS.
        noise_db: Level of the noise floor there in dBFS.
    """

    start: int
    end: int
    level_db: float
    noise_db: float

    @property
    def snr_db(self) -> float:
        """How far the loudest part is above the noise floor, in dB."""
        return self.level_db - self.noise_db


def find(waveform: np.ndarray, sample_rate: int) -> list[Segment]:
    """Find the words in a recording that has pauses between them.

    Pauses shorter than `SHORTEST_PAUSE_SECONDS` are part of a word. Sounds shorter than `SHORTEST_WORD_SECONDS` are left
    out, and so are those that are 30 dB weaker than most.

    Args:
        waveform: Shape `(samples,)`, full scale [-1, 1].
        sample_rate: In Hz, at least 1000.

    Returns:
        The words in order; none in silence, in steady noise, or in a recording shorter than a word.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> waveform = rng.normal(0, 0.001, 16000)
        >>> waveform[4000:8000] += rng.normal(0, 0.1, 4000)
        >>> [(round(one.start / 16000, 1), round(one.end / 16000, 1)) for one in find(waveform, 16000)]
        [(0.2, 0.5)]
    """
    if len(waveform) < SHORTEST_WORD_SECONDS * sample_rate or audio.is_silent(waveform):
        return []
    hop = max(1, round(_HOP_SECONDS * sample_rate))
    levels = levels_db(waveform, sample_rate)
    floor = np.maximum(_noise_floor(levels), max(_QUIETEST_DB, levels.max() - _LARGEST_RANGE_DB))
    above = levels - floor
    upper = float(np.clip(_THRESHOLD_PART * np.percentile(above, 98), _LEAST_DB, _MOST_DB))
    runs = [run for run in _runs(above > _LOWER_PART * upper) if above[run].max() > upper]
    groups: list[list[slice]] = []
    for run in runs:
        if groups and (run.start - groups[-1][-1].stop) * hop < SHORTEST_PAUSE_SECONDS * sample_rate:
            groups[-1].append(run)
        else:
            groups.append([run])
    found = []
    for group in groups:
        frames = slice(group[0].start, group[-1].stop)
        active_seconds = sum(run.stop - run.start for run in group) * hop / sample_rate
        if active_seconds >= SHORTEST_WORD_SECONDS:
            loudest = frames.start + int(np.argmax(levels[frames]))
            start, end = int(frames.start) * hop, min(len(waveform), int(frames.stop) * hop)
            found.append(Segment(start, end, float(levels[loudest]), float(floor[loudest])))
    usual_db = np.median([one.level_db for one in found]) if found else 0.0
    return [one for one in found if one.level_db > usual_db - _FAR_BELOW_DB]


def cut(
    waveform: np.ndarray, found: Sequence[Segment], sample_rate: int, least_seconds: float = 0.0
) -> list[np.ndarray]:
    """Cut the words out of a recording, with `PADDING_SECONDS` around each; two words share no samples.

    Args:
        waveform: Shape `(samples,)`.
        found: From `find`.
        sample_rate: In Hz.
        least_seconds: Length to which a shorter piece is extended on both sides, as far as the pauses allow.

    Returns:
        For each word a waveform `(samples,)`.
    """
    middles = [(one.end + other.start) // 2 for one, other in itertools.pairwise(found)]
    bounds = itertools.pairwise([0, *middles, len(waveform)])
    pieces = []
    for one, (first, last) in zip(found, bounds, strict=False):
        missing = max(0.0, least_seconds - (one.end - one.start) / sample_rate)
        padding = round(max(PADDING_SECONDS, missing / 2) * sample_rate)
        pieces.append(waveform[max(first, one.start - padding) : min(last, one.end + padding)])
    return pieces


def levels_db(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Measure the level above 100 Hz in frames of 25 ms, one every 10 ms.

    Args:
        waveform: Shape `(samples,)`, full scale [-1, 1].
        sample_rate: In Hz.

    Returns:
        Levels in dBFS, shape `(frames,)`; frame `i` is centred at `(i + 0.5) * 10 ms`. A sine at full scale has -3 dBFS.
    """
    length, hop = round(_FRAME_SECONDS * sample_rate), max(1, round(_HOP_SECONDS * sample_rate))
    before = (length - hop) // 2
    num_frames = -(-len(waveform) // hop)
    padded = np.pad(waveform, (before, num_frames * hop + length - hop - before - len(waveform)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    window = np.hanning(length)
    heard = np.fft.rfftfreq(length, 1 / sample_rate) >= _LOWEST_HZ
    powers = [
        np.square(np.abs(np.fft.rfft(frames[first : first + _FRAMES_AT_ONCE] * window)[:, heard])).sum(axis=1)
        for first in range(0, num_frames, _FRAMES_AT_ONCE)
    ]
    # Parseval: a one-sided spectrum has half of the energy.
    mean_square = 2 * np.concatenate(powers) / (length * np.square(window).sum())
    return 10 * np.log10(np.maximum(mean_square, 1e-12))


def _noise_floor(levels: np.ndarray) -> np.ndarray:
    """Return the noise floor around each frame in dBFS."""
    num_around = round(_FLOOR_SECONDS / _HOP_SECONDS)
    centers = np.arange(0, len(levels), round(_FLOOR_HOP_SECONDS / _HOP_SECONDS))
    # Near an end the window is moved inside, so that it is as long as elsewhere.
    firsts = np.clip(centers - num_around // 2, 0, max(0, len(levels) - num_around))
    floors = [np.percentile(levels[first : first + num_around], _FLOOR_PERCENTILE) for first in firsts]
    return np.interp(np.arange(len(levels)), centers, floors)


def _runs(active: np.ndarray) -> list[slice]:
    """Return the runs of True."""
    edges = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0))
    return [slice(first, last) for first, last in zip(edges[::2], edges[1::2], strict=True)]
