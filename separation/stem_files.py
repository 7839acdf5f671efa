"""Separate songs from file to file in constant memory. This module does not import TensorFlow."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from common import audio, progress
from common.audio import blocks as audio_blocks
from common.audio import writer
from common.errors import UserError, nearest
from separation.config import ACCOMPANIMENT
from separation.inference import StemSeparator, make_consistent, resampled

RESIDUAL = "residual"
_BLOCK_SECONDS = 10.0


def chosen_stems(known: Sequence[str], wanted: Sequence[str] | None) -> dict[str, list[int]]:
    """Return the indices of the model's stems that each requested stem is the sum of.

    Args:
        known: Names of the model's stems.
        wanted: Names of the requested stems; None for all stems of the model. If the model has no stem `accompaniment`,
            it is the sum of all stems that are not requested.

    Raises:
        UserError: A stem is unknown or is listed twice, or no stem is left for `accompaniment`.

    Example:
        >>> chosen_stems(["vocals", "drums", "bass"], ["drums", "accompaniment"])
        {'drums': [1], 'accompaniment': [0, 2]}
    """
    if wanted is None:
        return {stem: [index] for index, stem in enumerate(known)}
    names = tuple(dict.fromkeys([*known, ACCOMPANIMENT]))
    for stem in wanted:
        if stem not in names:
            raise UserError(f"stems: expected any of {', '.join(names)}, got {stem!r}.{nearest(stem, names)}")
    if len(set(wanted)) < len(wanted):
        raise UserError(f"stems: expected each stem once, got {','.join(wanted)}; remove the repeated stem")
    others = [index for index, stem in enumerate(known) if stem not in wanted]
    if ACCOMPANIMENT in wanted and ACCOMPANIMENT not in known and not others:
        raise UserError("stems: no stem is left for accompaniment; list fewer other stems")
    return {stem: [known.index(stem)] if stem in known else others for stem in wanted}


def separate_file(
    separator: StemSeparator,
    path: str | os.PathLike,
    targets: Mapping[str, Path],
    *,
    offset: float = 0.0,
    duration: float | None = None,
    consistent: bool = False,
    subtype: str | None = None,
) -> None:
    """Separate one song into files, which appear once all of them are complete.

    The stems of a mono song are mono, also with a stereo model. A mono model separates each channel on its own.

    Args:
        separator: The separator.
        path: The song.
        targets: The output file of each stem; `residual` is the song minus the other stems.
        offset: Start of the excerpt in seconds.
        duration: Length of the excerpt in seconds; None for the rest of the song.
        consistent: Whether to add the residual to the stems, so that they sum to the song.
        subtype: Encoding, as named by soundfile; None for the default of the format.

    Raises:
        UserError: The song cannot be read, has more than two channels for a stereo model, or a file cannot be written.
    """
    parts = chosen_stems(separator.stems, [stem for stem in targets if stem != RESIDUAL])
    header = audio.info(path)
    separator.check_channels(str(path), header.num_channels)
    num_samples = max(0, header.num_samples - round(offset * header.sample_rate))
    if duration is not None:
        num_samples = min(num_samples, max(1, round(duration * header.sample_rate)))

    def read(sample_rate: int) -> Iterator[np.ndarray]:
        return audio_blocks.blocks(path, sample_rate, _BLOCK_SECONDS, False, offset, duration)

    # Read the first block before any file is opened, so that an unreadable song leaves no files behind.
    blocks = read(separator.sample_rate)
    blocks = itertools.chain([next(blocks)], blocks)
    # Read the song at its own sample rate: the residual includes frequencies above the model's Nyquist frequency.
    song = _Samples(read(header.sample_rate)) if consistent or RESIDUAL in targets else None
    with contextlib.ExitStack() as stack:
        writers = {
            stem: stack.enter_context(writer.opened(target, header.sample_rate, header.num_channels, subtype))
            for stem, target in targets.items()
        }
        meter = stack.enter_context(progress.bar(round(num_samples / header.sample_rate), Path(path).name, "s"))
        num_written = 0
        for stems in resampled(separator.stream(blocks), separator.sample_rate, header.sample_rate):
            stems = stems[:, : num_samples - num_written]
            whole = None if song is None else song.take(stems.shape[1])
            if consistent:
                stems = make_consistent(stems, whole)
            sums = {stem: stems[indices].sum(axis=0) for stem, indices in parts.items()}
            if RESIDUAL in targets:
                sums[RESIDUAL] = whole - sum(sums.values())
            for stem, waveform in sums.items():
                writers[stem](waveform)
            num_written += stems.shape[1]
            meter.update(round(num_written / header.sample_rate) - meter.n)


class _Samples:
    """Buffers blocks of samples, and returns them in blocks of other lengths."""

    def __init__(self, blocks: Iterator[np.ndarray]):
        self.blocks = blocks
        self.pending = next(blocks)

    def take(self, num_samples: int) -> np.ndarray:
        """Return the next samples; zeros after the last one."""
        while len(self.pending) < num_samples and (block := next(self.blocks, None)) is not None:
            self.pending = np.concatenate([self.pending, block])
        taken, self.pending = self.pending[:num_samples], self.pending[num_samples:]
        return audio.fit_length(taken, num_samples)
