"""From probabilities to answers: one for a clip, a timeline for a long recording."""

import dataclasses

import keras
import numpy as np

from common import audio
from kws import rejection
from kws.config import Config

# A recording up to this many clips long is taken for one word with pauses around it.
_LONGEST_CLIP = 1.5
_SMOOTHING_SECONDS = 0.3
_LEAST_DISTANCE = 0.75  # of a clip, between two words
_LEAST_HOLD = 0.25  # of a clip: for so long a whole word stays in view, unlike its beginning or end
_QUIET_RMS = 1e-3  # -60 dBFS: the windows of digital silence and of a muted microphone
_BATCH_SIZE = 64
_WINDOWS_AT_ONCE = 16 * _BATCH_SIZE


@dataclasses.dataclass(frozen=True)
class Detection:
    """A word found in a recording.

    Attributes:
        start: Beginning of the window that holds it, in seconds.
        end: End of that window, in seconds.
        word: The likeliest keyword where it is accepted, else the likeliest label.
        probability: Of that label.
        probabilities: Of every label, in the order of the model's outputs.
        accepted: Whether the likeliest keyword's probability reaches the threshold.
    """

    start: float
    end: float
    word: str
    probability: float
    probabilities: tuple[float, ...]
    accepted: bool


def is_long(config: Config, waveform: np.ndarray) -> bool:
    """Whether a recording gets a timeline instead of one answer."""
    return len(waveform) > _LONGEST_CLIP * config.num_samples


def classify(model: keras.Model, config: Config, waveforms: list[np.ndarray], threshold: float) -> list[Detection]:
    """Name the word in each of several clips.

    Args:
        model: From `load_model`.
        config: From `load_model`.
        waveforms: Shape `(samples,)` each, at the configuration's rate; of longer ones the loudest stretch counts, as in
            training.
        threshold: Probability from which a keyword is accepted.

    Returns:
        One answer a clip.
    """
    clips = np.stack(
        [
            audio.fit_length(audio.loudest_excerpt(waveform, config.num_samples), config.num_samples)
            for waveform in waveforms
        ]
    )
    probabilities = model.predict(clips, batch_size=_BATCH_SIZE, verbose=0)
    return [
        _answer(config, row, 0.0, len(waveform) / config.sample_rate, threshold)
        for row, waveform in zip(probabilities, waveforms, strict=True)
    ]


def timeline(
    model: keras.Model, config: Config, waveform: np.ndarray, hop_seconds: float, threshold: float
) -> list[Detection]:
    """Find the keywords of a long recording.

    The model looks through a sliding window; its probabilities are averaged over 0.3 s. A word that stays over the
    threshold for a quarter of a clip is a candidate, and of candidates that overlap the one that held for longest is
    the detection; its window is the middle one.

    Args:
        model: From `load_model`.
        config: From `load_model`.
        waveform: Shape `(samples,)`, at the configuration's rate.
        hop_seconds: Time between two windows.
        threshold: Averaged probability from which a word counts.

    Returns:
        Detections in order of time; silence and unknown words are none.
    """
    hop_samples = max(1, round(hop_seconds * config.sample_rate))
    padded = np.pad(waveform, (0, max(0, config.num_samples - len(waveform))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, config.num_samples)[::hop_samples]
    probabilities, loud = [], []
    # The windows overlap in memory as in time; only a block of them is ever written out.
    for first in range(0, len(windows), _WINDOWS_AT_ONCE):
        block = windows[first : first + _WINDOWS_AT_ONCE]
        probabilities.append(model.predict(block, batch_size=_BATCH_SIZE, verbose=0))
        loud.append(np.sqrt(np.mean(np.square(block), axis=1)) > _QUIET_RMS)
    loud = np.concatenate(loud)
    smoothed = _moving_average(np.concatenate(probabilities), max(1, round(_SMOOTHING_SECONDS / hop_seconds)))
    keywords = np.flatnonzero(rejection.is_keyword(config.labels))
    likeliest = keywords[smoothed[:, keywords].argmax(axis=1)]
    candidates = []
    for index in keywords:
        over = loud & (smoothed[:, index] >= threshold) & (likeliest == index)
        for first, last in _stretches(over):
            if (last - first + 1) * hop_samples < _LEAST_HOLD * config.num_samples:
                continue
            middle = (first + last) // 2
            start = middle * hop_samples / config.sample_rate
            weight = float(smoothed[first : last + 1, index].sum())
            answer = _answer(config, smoothed[middle], start, start + config.clip_seconds, threshold)
            candidates.append((weight, answer))
    return _strongest(candidates, config.clip_seconds)


def _answer(config: Config, probabilities: np.ndarray, start: float, end: float, threshold: float) -> Detection:
    keywords = np.flatnonzero(rejection.is_keyword(config.labels))
    best = int(keywords[probabilities[keywords].argmax()])
    accepted = bool(probabilities[best] >= threshold)
    if not accepted:
        best = int(probabilities.argmax())
    values = tuple(map(float, probabilities))
    return Detection(start, end, config.labels[best], values[best], values, accepted)


def _moving_average(values: np.ndarray, width: int) -> np.ndarray:
    """Average each column over `width` rows around each row, over fewer at the ends."""
    kernel = np.ones(width)
    counts = np.convolve(np.ones(len(values)), kernel, mode="same")[: len(values)]
    return np.stack([np.convolve(column, kernel, mode="same")[: len(values)] / counts for column in values.T], axis=1)


def _stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return first and last index of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2], strict=True)]


def _strongest(candidates: list[tuple[float, Detection]], clip_seconds: float) -> list[Detection]:
    """Of candidates whose windows overlap keep the one that held for longest.

    While the window slides over a word it also sees the word's beginning or end alone, which may be like another word;
    the whole word is in view for longer than its parts.
    """
    kept: list[Detection] = []
    for _, candidate in sorted(candidates, key=lambda item: -item[0]):
        if all(abs(candidate.start - other.start) >= _LEAST_DISTANCE * clip_seconds for other in kept):
            kept.append(candidate)
    return sorted(kept, key=lambda detection: detection.start)
