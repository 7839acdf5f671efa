"""Run models for clips of fixed length on recordings of any length, with sliding windows."""

import itertools
import math
import numbers
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from common import audio
from common.audio import blocks as audio_blocks
from common.errors import UserError

# Windows in a batch.
BATCH_SIZE = 64
# A recording up to this many clips long gets one prediction instead of a timeline.
_LONGEST_CLIP = 1.5
_BLOCK_SECONDS = 10.0


class Stretch(NamedTuple):
    """Runs a model on windows that overlap, and computes once what they share.

    Attributes:
        run: Maps a waveform `(samples,)` and the hop in samples to the outputs `(windows, labels)` of all windows in it,
            each with its surroundings.
        grid: The hop is a multiple of so many samples.
        before: Samples before a window that its output depends on; silence at the start of a recording.
        after: Samples after a window; silence at the end.
    """

    run: Callable[[np.ndarray, int], np.ndarray]
    grid: int
    before: int
    after: int


class WindowModel:
    """A model for clips of fixed length, with methods that cut recordings into such clips.

    Args:
        run: Maps clips `(clips, num_samples)`, float32 in [-1, 1], to outputs `(clips, labels)`.
        sample_rate: In Hz.
        num_samples: Length of a clip.
        num_labels: Outputs per clip.
        stretch: For `windows`, a faster way than `run`, if the model has one.
    """

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        *,
        sample_rate: int,
        num_samples: int,
        num_labels: int,
        stretch: Stretch | None = None,
    ):
        self.run = run
        self.stretch = stretch
        self.num_labels = num_labels
        self.sample_rate = sample_rate
        self.num_samples = num_samples

    @property
    def clip_seconds(self) -> float:
        """Length of a clip in seconds."""
        return self.num_samples / self.sample_rate

    def blocks(
        self, source: audio.AudioSource | np.ndarray, sample_rate: int | None = None, *, hop_seconds: float = 0.1
    ) -> Iterator[np.ndarray]:
        """Read a recording in blocks at the model's rate, long enough for `is_long` and for full batches of windows.

        Args:
            source: A path, a binary file object, or a waveform `(samples,)` or `(samples, channels)`, float or int16.
            sample_rate: Rate of a waveform in Hz, if not the model's.
            hop_seconds: Hop between windows in seconds.

        Raises:
            UserError: As `common.audio.blocks.source_blocks`.
        """
        batch_seconds = BATCH_SIZE * self.hop_samples(hop_seconds) / self.sample_rate
        least = max(_BLOCK_SECONDS, 2 * self.clip_seconds)
        block_seconds = math.ceil(least / batch_seconds) * batch_seconds
        return audio_blocks.source_blocks(source, self.sample_rate, sample_rate, block_seconds)

    def is_long(self, first_block: np.ndarray) -> bool:
        """Whether a recording gets a timeline instead of one prediction; needs only the first of its `blocks`."""
        return len(first_block) > _LONGEST_CLIP * self.num_samples

    def waveform(self, source: audio.AudioSource | np.ndarray, sample_rate: int | None = None) -> np.ndarray:
        """Load a whole recording at the model's rate, shape `(samples,)`."""
        return np.concatenate(list(self.blocks(source, sample_rate)))

    def clips(self, waveforms: Iterable[np.ndarray]) -> np.ndarray:
        """Return the loudest clip of each waveform, shape `(clips, num_samples)`; pad shorter ones with silence."""
        return np.stack([audio.loudest_excerpt(one, self.num_samples) for one in waveforms]).astype(np.float32)

    def hop_samples(self, hop_seconds: float) -> int:
        """Return the hop between windows in samples, the nearest that the model supports.

        Raises:
            UserError: The hop is longer than the clip, or not more than 0.
        """
        check_hop(hop_seconds, self.clip_seconds)
        grid = self.stretch.grid if self.stretch else 1
        return grid * max(1, min(round(hop_seconds * self.sample_rate / grid), self.num_samples // grid))

    def windows(
        self, blocks: Iterable[np.ndarray], hop_samples: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield batches of windows: their first samples `(batch,)`, their waveforms and the model outputs."""
        if self.stretch:
            yield from self._stretches(self.stretch, blocks, hop_samples)
            return
        for starts, waveforms in audio_blocks.windows(blocks, self.num_samples, hop_samples, BATCH_SIZE):
            yield starts, waveforms, self.outputs(waveforms)

    def _stretches(
        self, stretch: Stretch, blocks: Iterable[np.ndarray], hop: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Do what `windows` does, with what windows share computed once."""
        silence = (np.zeros(samples, np.float32) for samples in (stretch.before, stretch.after))
        surrounded = itertools.chain([next(silence)], blocks, silence)
        length = stretch.before + self.num_samples + stretch.after
        for starts, waveforms in audio_blocks.windows(surrounded, length, hop, BATCH_SIZE):
            # The last window ends with the recording, so its hop may be shorter.
            regular = starts % hop == 0
            outputs = np.empty((len(starts), self.num_labels), np.float32)
            if regular.any():
                rows = waveforms[regular]
                joined = np.concatenate([rows[0], rows[1:, length - hop :].ravel()])
                outputs[regular] = self._checked(stretch.run(joined, hop), len(rows))
            clips = waveforms[:, stretch.before : stretch.before + self.num_samples]
            if not regular.all():
                outputs[~regular] = self.outputs(clips[~regular])
            yield starts, clips, outputs

    def outputs(self, clips: np.ndarray) -> np.ndarray:
        """Run the model on clips `(clips, num_samples)`; returns its outputs `(clips, labels)`.

        Raises:
            ValueError: The function of the model returns another shape.
        """
        return self._checked(self.run(clips), len(clips))

    def _checked(self, outputs: np.ndarray, num_clips: int) -> np.ndarray:
        outputs = np.asarray(outputs, np.float32)
        if outputs.shape != (num_clips, self.num_labels):
            raise ValueError(f"run: expected outputs {(num_clips, self.num_labels)}, got {outputs.shape}")
        return outputs


def check_hop(hop_seconds: float, clip_seconds: float) -> None:
    """Check that the windows cover every sample.

    Raises:
        UserError: The hop is longer than the clip, or not more than 0.
    """
    if not (isinstance(hop_seconds, numbers.Real) and hop_seconds > 0):
        raise UserError(f"hop_seconds: expected more than 0, got {hop_seconds!r}")
    if hop_seconds > clip_seconds:
        raise UserError(f"hop_seconds: expected at most the model's clip of {clip_seconds:g} s, got {hop_seconds:g}")
