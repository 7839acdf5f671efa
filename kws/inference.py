"""Keyword spotting with any function from clips to probabilities; does not need TensorFlow.

A clip gets one prediction. A longer recording gets a timeline, computed as the audio arrives. Files and live streams
use the same rule. The decision about a window is final at most `LOOKAHEAD_SECONDS` of audio after its end.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from common import arguments, audio
from common.audio.sliding import Stretch, WindowModel
from kws import acceptance
from kws.config import SILENCE
from kws.timeline import LOOKAHEAD_SECONDS as LOOKAHEAD_SECONDS
from kws.timeline import Row, Rule

_QUIET_RMS = 1e-3  # -60 dBFS: quieter windows are digital silence or a muted microphone


@dataclasses.dataclass(frozen=True, repr=False)
class Detection:
    """A word found in a recording.

    Attributes:
        start: Start of the window that contains the word, in seconds.
        end: End of the window, in seconds.
        word: The likeliest keyword if it is accepted, else the likeliest label. For digital silence `_silence_`, even
            if the model does not have that label.
        probability: Probability of `word`.
        probabilities: Probability of every label, in the order of the model's outputs.
        accepted: Whether the probability of the likeliest keyword reaches the threshold.
    """

    start: float
    end: float
    word: str
    probability: float
    probabilities: tuple[float, ...]
    accepted: bool

    def __repr__(self) -> str:
        """Return a one-line summary."""
        place = f"start={self.start:.2f}, end={self.end:.2f}, accepted={self.accepted}"
        return f"Detection(word={self.word!r}, probability={self.probability:.3f}, {place})"


class KeywordSpotter(WindowModel):
    """Finds keywords in clips, recordings and streams.

    Args:
        run: Function from clips `(clips, num_samples)`, float32 in [-1, 1], to probabilities `(clips, labels)`.
        sample_rate: Sample rate in hertz.
        num_samples: Length of a clip in samples.
        labels: Names of the outputs: keywords, optionally `_silence_` and `_unknown_`.
        threshold: Smallest probability at which a keyword is accepted.
        stretch: For recordings and streams, a faster way than `run`, if the model has one.

    Raises:
        UserError: The threshold is not a probability.
    """

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        *,
        sample_rate: int,
        num_samples: int,
        labels: Sequence[str],
        threshold: float,
        stretch: Stretch | None = None,
    ):
        super().__init__(run, sample_rate=sample_rate, num_samples=num_samples, num_labels=len(labels), stretch=stretch)
        self.labels = tuple(labels)
        self.threshold = arguments.number("threshold", threshold, 0, 1)
        self._keywords = np.flatnonzero(acceptance.is_keyword(self.labels))

    def __repr__(self) -> str:
        """Return a one-line description."""
        return f"KeywordSpotter({len(self._keywords)} words, {self.sample_rate} Hz, threshold {self.threshold:.2f})"

    def predict(self, source: audio.AudioSource | np.ndarray, sample_rate: int | None = None) -> Detection:
        """Predict the word in a clip. A longer recording is loaded into memory, and its loudest clip is used.

        Args:
            source: A path, a binary file object, or a waveform `(samples,)` or `(samples, channels)`, float or int16.
            sample_rate: Sample rate of a waveform in Hz; None for the model's rate.

        Raises:
            UserError: The recording cannot be read, or the waveform is not valid.
        """
        return self.classify([self.waveform(source, sample_rate)])[0]

    def classify(self, waveforms: Sequence[np.ndarray]) -> list[Detection]:
        """Predict the word in each of several clips.

        Args:
            waveforms: Shape `(samples,)` each, float32 at the model's rate. Of a longer waveform the loudest clip is
                used, as in training.

        Returns:
            One prediction per clip.
        """
        if not waveforms:
            return []
        rows = self.outputs(self.clips(waveforms))
        lengths = [len(waveform) / self.sample_rate for waveform in waveforms]
        return [
            self._silence(seconds) if audio.is_silent(waveform) else self._detection(row, 0.0, seconds)
            for row, waveform, seconds in zip(rows, waveforms, lengths, strict=True)
        ]

    def timeline(
        self, source: audio.AudioSource | np.ndarray, sample_rate: int | None = None, *, hop_seconds: float = 0.1
    ) -> Iterator[Detection]:
        """Find the keywords in a recording of any length, which is read lazily.

        Args:
            source: As for `predict`.
            sample_rate: As for `predict`.
            hop_seconds: Time between two windows; at most the length of a clip. A model with a `stretch` takes the nearest
                multiple of its grid.

        Returns:
            Iterator over detections of keywords, in order of time; silence and unknown words are not included.

        Raises:
            UserError: `hop_seconds` is out of range. As for `predict`; a file raises it while it is read.
        """
        self.hop_samples(hop_seconds)
        blocks = self.blocks(source, sample_rate, hop_seconds=hop_seconds)
        return self.stream(blocks, hop_seconds=hop_seconds)

    def stream(self, blocks: Iterable[np.ndarray], *, hop_seconds: float = 0.1) -> Iterator[Detection]:
        """Find keywords in a stream.

        The model runs on a sliding window; `kws.timeline` turns its probabilities into words.

        Args:
            blocks: Consecutive waveforms `(samples,)` of any length, float32 at the model's rate.
            hop_seconds: Time between two windows; at most the length of a clip.

        Yields:
            Detections in order of time, each at the latest with the block that contains the time `end` plus
            `LOOKAHEAD_SECONDS`.
        """
        hop = self.hop_samples(hop_seconds)
        for window, row in self.rule(self.threshold, hop_seconds).words(self.rows(blocks, hop)):
            first = window * hop
            yield self._detection(row, first / self.sample_rate, (first + self.num_samples) / self.sample_rate)

    def rule(self, threshold: float, hop_seconds: float) -> Rule:
        """Return the detection rule of the timeline for a threshold."""
        hop_seconds = self.hop_samples(hop_seconds) / self.sample_rate
        delay = self.stretch.after / self.sample_rate if self.stretch else 0.0
        return Rule(
            self._keywords, threshold, hop_seconds=hop_seconds, clip_seconds=self.clip_seconds, delay_seconds=delay
        )

    def rows(self, blocks: Iterable[np.ndarray], hop: int) -> Iterator[Row]:
        """Yield the model's output for each window, and whether the window is loud; `hop` is in samples."""
        for starts, windows, outputs in self.windows(blocks, hop):
            loud = np.sqrt(np.mean(np.square(windows), axis=1)) > _QUIET_RMS
            # The last window ends with the recording and may be off the grid; the rule needs equal hops.
            regular = starts % hop == 0
            yield from zip(outputs[regular], loud[regular].tolist(), strict=True)

    def _silence(self, seconds: float) -> Detection:
        """Return the prediction for digital silence, for which the model's output is arbitrary."""
        probabilities = tuple(float(label == SILENCE) for label in self.labels)
        return Detection(0.0, seconds, SILENCE, 1.0, probabilities, False)

    def _detection(self, row: np.ndarray, start: float, end: float) -> Detection:
        best = int(self._keywords[row[self._keywords].argmax()])
        accepted = bool(row[best] >= self.threshold)
        if not accepted:
            best = int(row.argmax())
        values = tuple(map(float, row))
        return Detection(start, end, self.labels[best], values[best], values, accepted)
