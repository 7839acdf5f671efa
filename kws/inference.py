"""From audio to keywords, over any function from clips to probabilities; no TensorFlow is needed.

A clip gets one answer. A longer recording gets a timeline, as it comes in: the same rule serves files and live streams,
and what it says of a window is final `LOOKAHEAD_SECONDS` of audio after that window has ended, at the latest.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from common import audio
from common.audio.sliding import WindowModel
from kws import acceptance
from kws.config import SILENCE
from kws.timeline import LOOKAHEAD_SECONDS as LOOKAHEAD_SECONDS
from kws.timeline import Row, Rule

_QUIET_RMS = 1e-3  # -60 dBFS: the windows of digital silence and of a muted microphone


@dataclasses.dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        """Say what was found in a line."""
        place = f"start={self.start:.2f}, end={self.end:.2f}, accepted={self.accepted}"
        return f"Detection(word={self.word!r}, probability={self.probability:.3f}, {place})"


class KeywordSpotter(WindowModel):
    """Finds keywords.

    Args:
        run: From clips `(clips, num_samples)`, float32 in [-1, 1], to probabilities `(clips, labels)`.
        sample_rate: In hertz.
        num_samples: Length of a clip.
        labels: Names of the outputs: keywords, and perhaps `_silence_` and `_unknown_`.
        threshold: Probability from which a keyword is accepted.
    """

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        *,
        sample_rate: int,
        num_samples: int,
        labels: Sequence[str],
        threshold: float,
    ):
        super().__init__(run, sample_rate=sample_rate, num_samples=num_samples)
        self.labels = tuple(labels)
        self.threshold = threshold
        self._keywords = np.flatnonzero(acceptance.is_keyword(self.labels))

    def __repr__(self) -> str:
        """Say what it is in a line."""
        return f"KeywordSpotter({len(self._keywords)} words, {self.sample_rate} Hz, threshold {self.threshold:.2f})"

    def predict(self, source: audio.AudioSource | np.ndarray, sample_rate: int | None = None) -> Detection:
        """Name the word in a clip; of a longer recording, which is held in memory, the loudest clip counts.

        Args:
            source: A path, a binary file object, or a waveform `(samples,)` or `(samples, channels)`, float or int16.
            sample_rate: Rate of a waveform in Hz, if not the model's.

        Raises:
            UserError: The recording cannot be read, or the waveform not used.
        """
        return self.classify([self.waveform(source, sample_rate)])[0]

    def classify(self, waveforms: Sequence[np.ndarray]) -> list[Detection]:
        """Name the word in each of several clips.

        Args:
            waveforms: Shape `(samples,)` each, float32 at the model's rate; of longer ones the loudest stretch counts, as in
                training.

        Returns:
            One answer a clip.
        """
        if not waveforms:
            return []
        rows = self.run(self.clips(waveforms))
        lengths = [len(waveform) / self.sample_rate for waveform in waveforms]
        return [
            self._silence(seconds) if audio.is_silent(waveform) else self._detection(row, 0.0, seconds)
            for row, waveform, seconds in zip(rows, waveforms, lengths, strict=True)
        ]

    def timeline(
        self, source: audio.AudioSource | np.ndarray, sample_rate: int | None = None, *, hop_seconds: float = 0.1
    ) -> Iterator[Detection]:
        """Find the keywords of a recording of any length; it is read as the detections are asked for.

        Args:
            source: As for `predict`.
            sample_rate: As for `predict`.
            hop_seconds: Time between two windows; at most a clip.

        Returns:
            Detections in order of time; silence and unknown words are none.

        Raises:
            UserError: `hop_seconds` is out of range; as `predict`, of a file when it is read.
        """
        self.hop_samples(hop_seconds)
        blocks = self.blocks(source, sample_rate, hop_seconds=hop_seconds)
        return self.stream(blocks, hop_seconds=hop_seconds)

    def stream(self, blocks: Iterable[np.ndarray], *, hop_seconds: float = 0.1) -> Iterator[Detection]:
        """Find keywords in what comes in, whatever the lengths of its blocks.

        The model sees a sliding window; what is a word follows from its probabilities as `kws.timeline` says.

        Args:
            blocks: Waveforms `(samples,)`, float32 at the model's rate, that follow each other.
            hop_seconds: Time between two windows; at most a clip.

        Yields:
            Detections in order of time, each at the latest with the block that brings the `LOOKAHEAD_SECONDS` behind its
            `end`.
        """
        hop = self.hop_samples(hop_seconds)
        hop_seconds = hop / self.sample_rate
        rule = Rule(self._keywords, self.threshold, hop_seconds=hop_seconds, clip_seconds=self.clip_seconds)
        for window, row in rule.words(self._rows(blocks, hop)):
            first = window * hop
            yield self._detection(row, first / self.sample_rate, (first + self.num_samples) / self.sample_rate)

    def _rows(self, blocks: Iterable[np.ndarray], hop: int) -> Iterator[Row]:
        """Yield the model's output for one window after another, and whether the window is loud."""
        for starts, windows, outputs in self.windows(blocks, hop):
            loud = np.sqrt(np.mean(np.square(windows), axis=1)) > _QUIET_RMS
            # The last window ends with the recording; here all are equally far apart.
            regular = starts % hop == 0
            yield from zip(outputs[regular], loud[regular].tolist(), strict=True)

    def _silence(self, seconds: float) -> Detection:
        """Return the answer to digital silence, of which a model can say anything."""
        probabilities = tuple(float(label == SILENCE) for label in self.labels)
        return Detection(0.0, seconds, SILENCE, 1.0, probabilities, False)

    def _detection(self, row: np.ndarray, start: float, end: float) -> Detection:
        best = int(self._keywords[row[self._keywords].argmax()])
        accepted = bool(row[best] >= self.threshold)
        if not accepted:
            best = int(row.argmax())
        values = tuple(map(float, row))
        return Detection(start, end, self.labels[best], values[best], values, accepted)
