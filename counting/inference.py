"""From audio to how many people speak, over any function from clips to probabilities; no TensorFlow is needed.

A clip gets one answer: the count is the one with the largest probability, and women and men are the likeliest pair of that
sum. A longer recording gets a timeline, as it comes in.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from common import audio
from common.audio.sliding import WindowModel
from counting.config import count_matrix


@dataclasses.dataclass(frozen=True, repr=False)
class SpeakerCount:
    """How many people speak in a stretch of a recording.

    Attributes:
        start: Its beginning in seconds.
        end: Its end in seconds.
        count: How many speak at once; nobody in digital silence, also where the model knows no such count.
        female: How many of them are women; None where the model does not know sexes.
        male: How many are men, or None.
        probability: Of the count.
    """

    start: float
    end: float
    count: int
    female: int | None
    male: int | None
    probability: float

    def __repr__(self) -> str:
        """Say how many in a line."""
        sexes = "" if self.female is None else f"female={self.female}, male={self.male}, "
        place = f"start={self.start:.2f}, end={self.end:.2f}"
        return f"SpeakerCount(count={self.count}, {sexes}probability={self.probability:.3f}, {place})"


class SpeakerCounter(WindowModel):
    """Tells how many people speak at once, and how many of them are women and men.

    Args:
        run: From clips `(clips, num_samples)`, float32 in [-1, 1], to probabilities `(clips, labels)`.
        sample_rate: In hertz.
        num_samples: Length of a clip.
        counts: The numbers of speakers that the model knows; unless it knows sexes they are what its outputs are of.
        sexes: Of each output the number of women and men; None where the model does not know sexes.
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
        super().__init__(run, sample_rate=sample_rate, num_samples=num_samples)
        self.counts = tuple(counts)
        self.sexes = None if sexes is None else tuple(sexes)

    def __repr__(self) -> str:
        """Say what it is in a line."""
        sexes = "" if self.sexes is None else "women and men, "
        return f"SpeakerCounter({self.counts[0]} to {self.counts[-1]} speakers, {sexes}{self.sample_rate} Hz)"

    def predict(self, source: audio.AudioSource | np.ndarray, sample_rate: int | None = None) -> SpeakerCount:
        """Count the speakers of a clip; of a longer recording, which is held in memory, the loudest clip counts.

        Args:
            source: A path, a binary file object, or a waveform `(samples,)` or `(samples, channels)`, float or int16.
            sample_rate: Rate of a waveform in Hz, if not the model's.

        Raises:
            UserError: The recording cannot be read, or the waveform not used.
        """
        waveform = self.waveform(source, sample_rate)
        clips = self.clips([waveform])
        (answer,) = self._answers(clips, self.run(clips))
        return dataclasses.replace(answer, end=len(waveform) / self.sample_rate)

    def timeline(
        self,
        source: audio.AudioSource | np.ndarray,
        sample_rate: int | None = None,
        *,
        hop_seconds: float = 0.25,
        merge: bool = True,
    ) -> Iterator[SpeakerCount]:
        """Count the speakers of a recording of any length; it is read as the answers are asked for.

        Args:
            source: As for `predict`.
            sample_rate: As for `predict`.
            hop_seconds: Time between two windows; at most a clip.
            merge: Whether to join stretches that are answered alike.

        Returns:
            Stretches that follow each other from the recording's beginning to its end.

        Raises:
            UserError: `hop_seconds` is out of range; as `predict`, of a file when it is read.
        """
        self.hop_samples(hop_seconds)
        blocks = self.blocks(source, sample_rate, hop_seconds=hop_seconds)
        return self.stream(blocks, hop_seconds=hop_seconds, merge=merge)

    def stream(
        self, blocks: Iterable[np.ndarray], *, hop_seconds: float = 0.25, merge: bool = True
    ) -> Iterator[SpeakerCount]:
        """Count the speakers of what comes in, whatever the lengths of its blocks.

        Args:
            blocks: Waveforms `(samples,)`, float32 at the model's rate, that follow each other.
            hop_seconds: Time between two windows; at most a clip.
            merge: Whether to join stretches that are answered alike.

        Yields:
            Of each window the stretch of `hop_seconds` in its middle, with its answer; the first reaches back to the
            beginning, the last on to the end. Each comes with the block that brings `lookahead_seconds` behind its end;
            joined ones, of which the next has to be known, a hop later.
        """
        stretches = self._stretches(blocks, self.hop_samples(hop_seconds))
        yield from merged(stretches) if merge else stretches

    def lookahead_seconds(self, hop_seconds: float = 0.25) -> float:
        """Return how long after the end of a stretch its answer is final: half a window and half a hop."""
        return (self.clip_seconds + hop_seconds) / 2

    def _stretches(self, blocks: Iterable[np.ndarray], hop: int) -> Iterator[SpeakerCount]:
        margin = (self.num_samples - hop) // 2
        first = end = total = 0

        def counted() -> Iterator[np.ndarray]:
            nonlocal total
            for block in blocks:
                total += len(block)
                yield block

        pending: SpeakerCount | None = None
        for starts, waveforms, outputs in self.windows(counted(), hop):
            for start, answer in zip(starts.tolist(), self._answers(waveforms, outputs), strict=True):
                if pending is not None:
                    yield self._between(pending, first, end)
                    first = end
                # The last window may be nearer to the one before; stretches follow each other all the same.
                pending, end = answer, start + margin + hop
        if pending is not None:
            yield self._between(pending, first, total)

    def _between(self, answer: SpeakerCount, first: int, end: int) -> SpeakerCount:
        return dataclasses.replace(answer, start=first / self.sample_rate, end=end / self.sample_rate)

    def _answers(self, waveforms: np.ndarray, outputs: np.ndarray) -> list[SpeakerCount]:
        """Return what is answered to each window, as yet without its place."""
        decided = decide(outputs, self.counts, self.sexes)
        names = ("count", "female", "male")
        values = zip(
            *(decided[name].tolist() if name in decided else [None] * len(outputs) for name in names), strict=True
        )
        probabilities = decided["count_probabilities"].max(axis=1).tolist()
        # In digital silence nobody speaks, whatever a model says.
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
    """Turn a model's outputs into answers.

    Args:
        probabilities: Shape `(clips, labels)`.
        counts: The numbers of speakers that the model knows.
        sexes: Of each label the number of women and men; None where labels are counts.

    Returns:
        `count` `(clips,)`, `count_probabilities` `(clips, counts)`, and with sexes also `female` and `male` `(clips,)`, whose
        sum is `count`.
    """
    matrix = count_matrix(counts, sexes)
    of_counts = probabilities @ matrix
    best = of_counts.argmax(axis=1)
    answer = {"count": np.asarray(counts)[best], "count_probabilities": of_counts}
    if sexes is not None:
        pair = (probabilities * matrix.T[best]).argmax(axis=1)
        female, male = np.asarray(sexes).T
        answer |= {"female": female[pair], "male": male[pair]}
    return answer


def merged(answers: Iterable[SpeakerCount]) -> Iterator[SpeakerCount]:
    """Join stretches that follow each other and are answered alike; the probability is their mean."""
    current, probabilities = None, []
    for answer in answers:
        if current is not None and _people(answer) == _people(current):
            probabilities.append(answer.probability)
            current = dataclasses.replace(current, end=answer.end)
            continue
        if current is not None:
            yield dataclasses.replace(current, probability=float(np.mean(probabilities)))
        current, probabilities = answer, [answer.probability]
    if current is not None:
        yield dataclasses.replace(current, probability=float(np.mean(probabilities)))


def _people(answer: SpeakerCount) -> tuple[int, int | None, int | None]:
    return answer.count, answer.female, answer.male
