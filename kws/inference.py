"""From probabilities to answers: one for a clip, a timeline for a long recording, in memory that does not grow."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

import keras
import numpy as np

from common import audio
from common.audio import blocks as audio_blocks
from kws import rejection
from kws.config import SILENCE, Config

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
        word: The likeliest keyword where it is accepted, else the likeliest label; of digital silence `_silence_`, whether
            the model knows that label or not.
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
    """Whether a recording gets a timeline instead of one answer; its beginning decides, if that is long enough."""
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
    if not waveforms:
        return []
    clips = np.stack(
        [
            audio.fit_length(audio.loudest_excerpt(waveform, config.num_samples), config.num_samples)
            for waveform in waveforms
        ]
    )
    probabilities = model.predict(clips, batch_size=_BATCH_SIZE, verbose=0)
    answers = []
    for row, waveform in zip(probabilities, waveforms, strict=True):
        seconds = len(waveform) / config.sample_rate
        silent = audio.is_silent(waveform)
        answers.append(_silence(config, seconds) if silent else _answer(config, row, 0.0, seconds, threshold))
    return answers


def _silence(config: Config, seconds: float) -> Detection:
    """Return the answer to digital silence, of which a model can say anything."""
    probabilities = tuple(float(label == SILENCE) for label in config.labels)
    return Detection(0.0, seconds, SILENCE, 1.0, probabilities, False)


def timeline(
    model: keras.Model, config: Config, blocks: Iterable[np.ndarray], hop_seconds: float, threshold: float
) -> Iterator[Detection]:
    """Find the keywords of a long recording as it comes in.

    The model sees a sliding window; its probabilities are averaged over 0.3 s. A word that stays over the threshold for a
    quarter of a clip is a candidate, and of candidates that overlap the one that held for longest is the detection; its
    window is the middle one.

    Args:
        model: From `load_model`.
        config: From `load_model`.
        blocks: The recording at the configuration's rate, `(samples,)` each, from `common.audio.blocks.blocks`.
        hop_seconds: Time between two windows; at most a clip.
        threshold: Averaged probability from which a word counts.

    Yields:
        Detections in order of time; silence and unknown words are none.
    """
    hop_samples = max(1, round(min(hop_seconds, config.clip_seconds) * config.sample_rate))
    rows = _smoothed(
        _probabilities(model, config, blocks, hop_samples), max(1, round(_SMOOTHING_SECONDS / hop_seconds))
    )
    yield from _strongest(_candidates(config, rows, hop_samples, threshold), config.clip_seconds)


def _probabilities(
    model: keras.Model, config: Config, blocks: Iterable[np.ndarray], hop_samples: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the model's outputs `(windows, labels)` for one window after another, and which windows are loud `(windows,)`."""
    for starts, windows in audio_blocks.windows(blocks, config.num_samples, hop_samples, _WINDOWS_AT_ONCE):
        # The last window ends with the recording; here all are equally far apart.
        windows = windows[starts % hop_samples == 0]
        if len(windows):
            loud = np.sqrt(np.mean(np.square(windows), axis=1)) > _QUIET_RMS
            yield model.predict(windows, batch_size=_BATCH_SIZE, verbose=0), loud


def _smoothed(chunks: Iterable[tuple[np.ndarray, np.ndarray]], width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Average each column over `width` rows around each row, over fewer at the ends; what stands beside stays as it is."""
    before, after = width // 2, (width - 1) // 2
    pending = loud = None
    for values, own_loud in itertools.chain(chunks, [(None, None)]):
        if values is not None:
            # A column of ones counts the rows that are averaged.
            values = np.column_stack([values, np.ones(len(values))])
        elif pending is not None:
            values, own_loud = np.zeros((after, pending.shape[1])), np.zeros(0, bool)
        else:
            return
        if pending is None:
            pending, loud = np.zeros((before, values.shape[1])), np.zeros(0, bool)
        pending, loud = np.concatenate([pending, values]), np.concatenate([loud, own_loud])
        num_done = len(pending) - width + 1
        if num_done > 0:
            sums = np.stack([np.convolve(column, np.ones(width), "valid") for column in pending.T], axis=1)
            yield sums[:, :-1] / sums[:, -1:], loud[:num_done]
            pending, loud = pending[num_done:], loud[num_done:]


def _candidates(
    config: Config, rows: Iterable[tuple[np.ndarray, np.ndarray]], hop_samples: int, threshold: float
) -> Iterator[tuple[float, Detection]]:
    """Yield each run of rows in which one keyword is the likeliest and over the threshold, if it holds for long enough."""
    keywords = np.flatnonzero(rejection.is_keyword(config.labels))
    position, run, own = 0, [], -1  # the next row; the rows of the run that goes on; its keyword
    for values, loud in itertools.chain(rows, [(np.zeros((1, len(config.labels))), np.zeros(1, bool))]):
        likeliest = keywords[values[:, keywords].argmax(axis=1)]
        over = loud & (values[np.arange(len(values)), likeliest] >= threshold)
        words = np.where(over, likeliest, -1)
        edges = np.flatnonzero(np.diff(words)) + 1
        for part in np.split(np.arange(len(words)), edges):
            if words[part[0]] != own:
                if own >= 0:
                    yield from _candidate(config, np.concatenate(run), own, position + part[0], hop_samples, threshold)
                run, own = [], words[part[0]]
            if own >= 0:
                run.append(values[part])
        position += len(words)


def _candidate(
    config: Config, run: np.ndarray, keyword: int, end: int, hop_samples: int, threshold: float
) -> Iterator[tuple[float, Detection]]:
    """Yield the weight of a run `(rows, labels)` that ends before the row `end`, and its detection; nothing if it is short."""
    if len(run) * hop_samples < _LEAST_HOLD * config.num_samples:
        return
    middle = (len(run) - 1) // 2
    start = (end - len(run) + middle) * hop_samples / config.sample_rate
    answer = _answer(config, run[middle], start, start + config.clip_seconds, threshold)
    yield float(run[:, keyword].sum()), answer


def _answer(config: Config, probabilities: np.ndarray, start: float, end: float, threshold: float) -> Detection:
    keywords = np.flatnonzero(rejection.is_keyword(config.labels))
    best = int(keywords[probabilities[keywords].argmax()])
    accepted = bool(probabilities[best] >= threshold)
    if not accepted:
        best = int(probabilities.argmax())
    values = tuple(map(float, probabilities))
    return Detection(start, end, config.labels[best], values[best], values, accepted)


def _strongest(candidates: Iterable[tuple[float, Detection]], clip_seconds: float) -> Iterator[Detection]:
    """Of candidates whose windows overlap keep the one that held for longest.

    While the window slides over a word it also sees the word's beginning or end alone, which may be like another word;
    the whole word is in view for longer than its parts. Candidates come in order of time; those that no chain of overlaps
    connects are decided apart.
    """
    least = _LEAST_DISTANCE * clip_seconds
    chain: list[tuple[float, Detection]] = []
    for candidate in candidates:
        if chain and candidate[1].start - chain[-1][1].start >= least:
            yield from _strongest_of(chain, least)
            chain = []
        chain.append(candidate)
    yield from _strongest_of(chain, least)


def _strongest_of(chain: list[tuple[float, Detection]], least: float) -> list[Detection]:
    kept: list[Detection] = []
    for _, candidate in sorted(chain, key=lambda item: -item[0]):
        if all(abs(candidate.start - other.start) >= least for other in kept):
            kept.append(candidate)
    return sorted(kept, key=lambda detection: detection.start)
