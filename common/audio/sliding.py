"""Run models for clips of fixed length on recordings of any length, with sliding windows."""

import math
import numbers
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from common import audio
from common.audio import blocks as audio_blocks
from common.errors import UserError

# Windows in a batch.
BATCH_SIZE = 64
# A recording up to this many clips long gets one prediction instead of a timeline.
_LONGEST_CLIP = 1.5
_BLOCK_SECONDS = 10.0


class WindowModel:
    """A model for clips of fixed length, with methods that cut recordings into such clips.

    Args:
        run: Maps clips `(clips, num_samples)`, float32 in [-1, 1], to outputs `(clips, labels)`.
        sample_rate: In Hz.
        num_samples: Length of a clip.
        num_labels: Outputs per clip.
    """

    def __init__(self, run: Callable[[np.ndarray], np.ndarray], *, sample_rate: int, num_samples: int, num_labels: int):
        self.run = run
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
        batch_seconds = BATCH_SIZE * hop_seconds
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
        """Return the hop between windows in samples.

        Raises:
            UserError: The hop is longer than the clip, or not more than 0.
        """
        check_hop(hop_seconds, self.clip_seconds)
        return max(1, round(hop_seconds * self.sample_rate))

    def windows(
        self, blocks: Iterable[np.ndarray], hop_samples: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield batches of windows: their first samples `(batch,)`, their waveforms and the model outputs."""
        for starts, waveforms in audio_blocks.windows(blocks, self.num_samples, hop_samples, BATCH_SIZE):
            yield starts, waveforms, self.outputs(waveforms)

    def outputs(self, clips: np.ndarray) -> np.ndarray:
        """Run the model on clips `(clips, num_samples)`; returns its outputs `(clips, labels)`.

        Raises:
            ValueError: The function of the model returns another shape.
        """
        outputs = np.asarray(self.run(clips), np.float32)
        if outputs.shape != (len(clips), self.num_labels):
            raise ValueError(f"run: expected outputs {(len(clips), self.num_labels)}, got {outputs.shape}")
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
