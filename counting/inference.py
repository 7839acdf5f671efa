"""Speaker counting with any function from clips to probabilities; does not need TensorFlow.

A clip gets one prediction: the most probable count, and the most probable pair of women and men with that sum. A longer
recording gets a timeline, computed as the audio arrives.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from common import arguments, audio
from common.audio.sliding import WindowModel
from counting.config import count_matrix

# Windows whose median a timeline takes; measured in counting/RESULTS.md.
SMOOTHING_SECONDS = 1.0
LONGEST_SMOOTHING_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, repr=False)
class SpeakerCount:
    """How many people speak in a segment of a recording.

    Attributes:
        start: Start of the segment in seconds.
        end: End of the segment in seconds.
        count: Number of simultaneous speakers; 0 in digital silence, even if the model cannot predict 0.
        female: Number of women; None if the model does not predict sexes.
        male: Number of men, or None.
        probability: Probability of the count.
    """

    start: float
    end: float
    count: int
    female: int | None
    male: int | None
    probability: float

    def __repr__(self) -> str:
        """Return a one-line summary."""
        sexes = "" if self.female is None else f"female={self.female}, male={self.male}, "
        place = f"start={self.start:.2f}, end={self.end:.2f}"
        return f"SpeakerCount(count={self.count}, {sexes}probability={self.probability:.3f}, {place})"


class SpeakerCounter(WindowModel):
    """Counts simultaneous speakers, and women and men among them.

    Args:
        run: Function from clips `(clips, num_samples)`, float32 in [-1, 1], to probabilities `(clips, labels)`.
        sample_rate: Sample rate in hertz.
        num_samples: Length of a clip in samples.
        counts: The numbers of speakers that the model can predict; they are the outputs if `sexes` is None.
        sexes: Numbers of women and men of each output; None if the model does not predict sexes.
    """

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        *,
        sample_rate: int,
        num_samples: int,
        counts: Sequence[int],
        sexes: Sequence[tuple[int, int]] | None = None,
    ):
        num_labels = len(counts if sexes is None else sexes)
        super().__init__(run, sample_rate=sample_rate, num_samples=num_samples, num_labels=num_labels)
        self.counts = tuple(counts)
        self.sexes = None if sexes is None else tuple(sexes)

    def __repr__(self) -> str:
        """Return a one-line description."""
        sexes = "" if self.sexes is None else "women and men, "
        return f"SpeakerCounter({self.counts[0]} to {self.counts[-1]} speakers, {sexes}{self.sample_rate} Hz)"

    def predict(self, source: audio.AudioSource | np.ndarray, sample_rate: int | None = None) -> SpeakerCount:
        """Count the speakers in a clip. A longer recording is loaded into memory, and its loudest clip is used.

        Args:
            source: A path, a binary file object, or a waveform `(samples,)` or `(samples, channels)`, float or int16.
            sample_rate: Sample rate of a waveform in Hz; None for the model's rate.

        Raises:
            UserError: The recording cannot be read, or the waveform is not valid.
        """
        waveform = self.waveform(source, sample_rate)
        clips = self.clips([waveform])
        (prediction,) = self._predictions([audio.is_silent(clips[0])], self.outputs(clips))
        return dataclasses.replace(prediction, end=len(waveform) / self.sample_rate)

    def timeline(
        self,
        source: audio.AudioSource | np.ndarray,
        sample_rate: int | None = None,
        *,
        hop_seconds: float = 0.25,
        merge: bool = True,
        smoothing_seconds: float = SMOOTHING_SECONDS,
    ) -> Iterator[SpeakerCount]:
        """Count the speakers in a recording of any length, which is read lazily.

        Args:
            source: As for `predict`.
            sample_rate: As for `predict`.
            hop_seconds: Time between two windows; at most the length of a clip.
            merge: Whether to merge consecutive segments with the same prediction.
            smoothing_seconds: Length of the median filter over the probabilities of the windows; 0 for none.

        Returns:
            Iterator over consecutive segments that cover the whole recording.

        Raises:
            UserError: `hop_seconds` or `smoothing_seconds` is out of range. As for `predict`; a file raises it while it is
                read.
        """
        self.lookahead_seconds(hop_seconds, smoothing_seconds)
        blocks = self.blocks(source, sample_rate, hop_seconds=hop_seconds)
        return self.stream(blocks, hop_seconds=hop_seconds, merge=merge, smoothing_seconds=smoothing_seconds)

    def stream(
        self,
        blocks: Iterable[np.ndarray],
        *,
        hop_seconds: float = 0.25,
        merge: bool = True,
        smoothing_seconds: float = SMOOTHING_SECONDS,
    ) -> Iterator[SpeakerCount]:
        """Count the speakers in a stream.

        Args:
            blocks: Consecutive waveforms `(samples,)` of any length, float32 at the model's rate.
            hop_seconds: Time between two windows; at most the length of a clip.
            merge: Whether to merge consecutive segments with the same prediction.
            smoothing_seconds: As for `timeline`.

        Yields:
            For each window its prediction, for the segment of `hop_seconds` in the middle of the window. The first
            segment starts at the beginning of the recording, the last one ends at its end. Each is yielded with the
            block that contains the time `lookahead_seconds` after its end; a merged segment comes one hop later.
        """
        num_around = _num_around(hop_seconds, smoothing_seconds)
        segments = self._segments(blocks, self.hop_samples(hop_seconds), num_around)
        yield from merged(segments) if merge else segments

    def lookahead_seconds(self, hop_seconds: float = 0.25, smoothing_seconds: float = SMOOTHING_SECONDS) -> float:
        """Return the delay from the end of a segment to its final prediction.

        It is half a window and half a hop, and the hops to the last window of the median filter.

        Raises:
            UserError: An argument is out of range.
        """
        self.hop_samples(hop_seconds)
        return (self.clip_seconds + hop_seconds) / 2 + _num_around(hop_seconds, smoothing_seconds) * hop_seconds

    def _segments(self, blocks: Iterable[np.ndarray], hop: int, num_around: int) -> Iterator[SpeakerCount]:
        margin = (self.num_samples - hop) // 2
        first = end = total = 0

        def counted() -> Iterator[np.ndarray]:
            nonlocal total
            for block in blocks:
                total += len(block)
                yield block

        pending: SpeakerCount | None = None
        windows = (
            Windows(starts, np.array(list(map(audio.is_silent, waveforms))), outputs)
            for starts, waveforms, outputs in self.windows(counted(), hop)
        )
        for starts, silent, outputs in smoothed(windows, num_around):
            for start, prediction in zip(starts.tolist(), self._predictions(silent, outputs), strict=True):
                if pending is not None:
                    yield self._between(pending, first, end)
                    first = end
                # The last window may be less than a hop after the one before; the segments stay consecutive.
                pending, end = prediction, start + margin + hop
        if pending is not None:
            yield self._between(pending, first, total)

    def _between(self, prediction: SpeakerCount, first: int, end: int) -> SpeakerCount:
        return dataclasses.replace(prediction, start=first / self.sample_rate, end=end / self.sample_rate)

    def _predictions(self, silent: Sequence[bool], outputs: np.ndarray) -> list[SpeakerCount]:
        """Return the prediction of each window, with start and end still to be set."""
        decided = decide(outputs, self.counts, self.sexes)
        names = ("count", "female", "male")
        values = zip(
            *(decided[name].tolist() if name in decided else [None] * len(outputs) for name in names), strict=True
        )
        probabilities = decided["count_probabilities"].max(axis=1).tolist()
        # In digital silence nobody speaks, and the model's output is arbitrary.
        nobody = 0 if self.sexes else None
        return [
            SpeakerCount(0.0, 0.0, 0, nobody, nobody, 1.0) if is_silent else SpeakerCount(0.0, 0.0, *value, probability)
            for is_silent, value, probability in zip(silent, values, probabilities, strict=True)
        ]


class Windows(NamedTuple):
    """A batch of windows: first samples `(batch,)`, whether digital silence `(batch,)`, outputs `(batch, labels)`."""

    starts: np.ndarray
    silent: np.ndarray
    outputs: np.ndarray


def _num_around(hop_seconds: float, smoothing_seconds: float) -> int:
    """Return the number of windows on either side of a window that the median filter covers."""
    smoothing_seconds = arguments.number("smoothing_seconds", smoothing_seconds, 0, LONGEST_SMOOTHING_SECONDS)
    return round(smoothing_seconds / 2 / hop_seconds)


def smoothed(batches: Iterable[Windows], num_around: int) -> Iterator[Windows]:
    """Replace the outputs of each window by the median over the windows around it, as far as there are any.

    The outputs of silent windows are arbitrary: they do not count in the median of others, and stay as they are.

    Args:
        batches: Consecutive windows, in batches of any size.
        num_around: Windows on either side.

    Yields:
        Batches of the same windows, each as soon as all windows around it are known; the outputs of a window sum to 1.
    """
    if not num_around:
        yield from batches
        return
    kept, first = None, 0
    for batch in itertools.chain(batches, [None]):
        if batch is not None:
            kept = batch if kept is None else Windows(*map(np.concatenate, zip(kept, batch, strict=True)))
        num_known = 0 if kept is None else len(kept.starts) - (num_around if batch is not None else 0)
        if num_known > first:
            medians = _medians(kept, num_around)
            yield Windows(kept.starts[first:num_known], kept.silent[first:num_known], medians[first:num_known])
            num_dropped = max(0, num_known - num_around)
            kept, first = Windows(*(part[num_dropped:] for part in kept)), num_known - num_dropped


def _medians(windows: Windows, num_around: int) -> np.ndarray:
    """Return the median outputs around each window, shape `(batch, labels)`."""
    heard = np.where(windows.silent[:, None], np.nan, windows.outputs)
    padded = np.pad(heard, ((num_around, num_around), (0, 0)), constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * num_around + 1, axis=0)
    medians = windows.outputs.copy()
    medians[~windows.silent] = np.nanmedian(around[~windows.silent], axis=-1)
    # The medians of all labels may be 0, for example of three labels that are certain in turn.
    sums = medians.sum(axis=1, keepdims=True)
    return np.where(sums > 0, medians / np.where(sums > 0, sums, 1), windows.outputs)


def decide(
    probabilities: np.ndarray, counts: Sequence[int], sexes: Sequence[tuple[int, int]] | None = None
) -> dict[str, np.ndarray]:
    """Turn label probabilities into predictions.

    Args:
        probabilities: Shape `(clips, labels)`.
        counts: The numbers of speakers that the model can predict.
        sexes: Numbers of women and men of each label; None if labels are counts.

    Returns:
        `count` `(clips,)`, `count_probabilities` `(clips, counts)`, and with `sexes` also `female` and `male`
        `(clips,)`, whose sum is `count`.
    """
    matrix = count_matrix(counts, sexes)
    of_counts = probabilities @ matrix
    best = of_counts.argmax(axis=1)
    prediction = {"count": np.asarray(counts)[best], "count_probabilities": of_counts}
    if sexes is not None:
        pair = (probabilities * matrix.T[best]).argmax(axis=1)
        female, male = np.asarray(sexes).T
        prediction |= {"female": female[pair], "male": male[pair]}
    return prediction


def merged(predictions: Iterable[SpeakerCount]) -> Iterator[SpeakerCount]:
    """Merge consecutive segments with the same prediction; the probability is their mean."""
    current, probabilities = None, []
    for prediction in predictions:
        if current is not None and _people(prediction) == _people(current):
            probabilities.append(prediction.probability)
            current = dataclasses.replace(current, end=prediction.end)
            continue
        if current is not None:
            yield dataclasses.replace(current, probability=float(np.mean(probabilities)))
        current, probabilities = prediction, [prediction.probability]
    if current is not None:
        yield dataclasses.replace(current, probability=float(np.mean(probabilities)))


def _people(prediction: SpeakerCount) -> tuple[int, int | None, int | None]:
    return prediction.count, prediction.female, prediction.male
