"""Speaker counting with any function from clips to probabilities; does not need TensorFlow.

A clip gets one prediction: the most probable count, and the most probable pair of women and men with that sum. A longer
recording gets a timeline, computed as the audio arrives.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from common import audio
from common.audio.sliding import WindowModel
from counting.config import count_matrix


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
        (prediction,) = self._predictions(clips, self.outputs(clips))
        return dataclasses.replace(prediction, end=len(waveform) / self.sample_rate)

    def timeline(
        self,
        source: audio.AudioSource | np.ndarray,
        sample_rate: int | None = None,
        *,
        hop_seconds: float = 0.25,
        merge: bool = True,
    ) -> Iterator[SpeakerCount]:
        """Count the speakers in a recording of any length, which is read lazily.

        Args:
            source: As for `predict`.
            sample_rate: As for `predict`.
            hop_seconds: Time between two windows; at most the length of a clip.
            merge: Whether to merge consecutive segments with the same prediction.

        Returns:
            Iterator over consecutive segments that cover the whole recording.

        Raises:
            UserError: `hop_seconds` is out of range. As for `predict`; a file raises it while it is read.
        """
        self.hop_samples(hop_seconds)
        blocks = self.blocks(source, sample_rate, hop_seconds=hop_seconds)
        return self.stream(blocks, hop_seconds=hop_seconds, merge=merge)

    def stream(
        self, blocks: Iterable[np.ndarray], *, hop_seconds: float = 0.25, merge: bool = True
    ) -> Iterator[SpeakerCount]:
        """Count the speakers in a stream.

        Args:
            blocks: Consecutive waveforms `(samples,)` of any length, float32 at the model's rate.
            hop_seconds: Time between two windows; at most the length of a clip.
            merge: Whether to merge consecutive segments with the same prediction.

        Yields:
            For each window its prediction, for the segment of `hop_seconds` in the middle of the window. The first
            segment starts at the beginning of the recording, the last one ends at its end. Each is yielded with the
            block that contains the time `lookahead_seconds` after its end; a merged segment comes one hop later.
        """
        segments = self._segments(blocks, self.hop_samples(hop_seconds))
        yield from merged(segments) if merge else segments

    def lookahead_seconds(self, hop_seconds: float = 0.25) -> float:
        """Return the delay from the end of a segment to its final prediction: half a window and half a hop."""
        return (self.clip_seconds + hop_seconds) / 2

    def _segments(self, blocks: Iterable[np.ndarray], hop: int) -> Iterator[SpeakerCount]:
        margin = (self.num_samples - hop) // 2
        first = end = total = 0

        def counted() -> Iterator[np.ndarray]:
            nonlocal total
            for block in blocks:
                total += len(block)
                yield block

        pending: SpeakerCount | None = None
        for starts, waveforms, outputs in self.windows(counted(), hop):
            for start, prediction in zip(starts.tolist(), self._predictions(waveforms, outputs), strict=True):
                if pending is not None:
                    yield self._between(pending, first, end)
                    first = end
                # The last window may be less than a hop after the one before; the segments stay consecutive.
                pending, end = prediction, start + margin + hop
        if pending is not None:
            yield self._between(pending, first, total)

    def _between(self, prediction: SpeakerCount, first: int, end: int) -> SpeakerCount:
        return dataclasses.replace(prediction, start=first / self.sample_rate, end=end / self.sample_rate)

    def _predictions(self, waveforms: np.ndarray, outputs: np.ndarray) -> list[SpeakerCount]:
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
            SpeakerCount(0.0, 0.0, 0, nobody, nobody, 1.0)
            if audio.is_silent(waveform)
            else SpeakerCount(0.0, 0.0, *value, probability)
            for waveform, value, probability in zip(waveforms, values, probabilities, strict=True)
        ]


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
