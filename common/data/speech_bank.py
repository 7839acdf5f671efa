"""Decoded speech with random access, the source of mixtures.

Shards are read sequentially, but a mixture needs excerpts from the middle of several recordings. The recordings of a
split are therefore concatenated in a memory-mapped file, with an index of speech activity. Only the audio that is read
uses memory. The index takes about 3 GB for 1,000 hours.
"""

import dataclasses
from collections.abc import Sequence

import librosa
import numpy as np
import pandas as pd

from common import audio, files, progress
from common.data.shards import Shards, recordings
from common.errors import UserError
from common.files import arrays

# Time between two possible starts of an excerpt.
_GRID_SECONDS = 0.05
_FRAME_SECONDS = 0.01
_WINDOW_FRAMES = 3
_ACTIVE_DB = 30.0


@dataclasses.dataclass(frozen=True)
class SpeechBank:
    """The recordings of a split.

    Attributes:
        pcm: All recordings concatenated, 16 bits, shape `(samples,)`.
        table: One row per recording, in the order of `pcm`: `path`, `speaker` and `sex` of the manifest, and in samples
            `first` (its position in `pcm`), `num_samples`, and `start` (its position in the file).
        active: Cumulative sum of the speech activity of the 10 ms frames of `pcm`, shape `(frames + 1,)`.
        sample_rate: Sample rate in Hz.
    """

    pcm: np.ndarray
    table: pd.DataFrame
    active: np.ndarray
    sample_rate: int

    @property
    def frame_samples(self) -> int:
        """Samples per frame of `active`."""
        return round(_FRAME_SECONDS * self.sample_rate)

    @property
    def tracks(self) -> tuple[np.ndarray]:
        """All recordings as a single track with one column, as input of `common.data.excerpts`."""
        return (self.pcm[:, None, None],)

    def places(self, cut_samples: int, min_activity: float) -> dict[str, np.ndarray]:
        """List the possible starts of excerpts.

        Args:
            cut_samples: Length of an excerpt; it is within one recording.
            min_activity: Smallest fraction of the excerpt with speech activity, in [0, 1].

        Returns:
            For each speaker the positions in `pcm`, shape `(places,)`; speakers without any are left out.
        """
        cut_frames = -(-cut_samples // self.frame_samples)
        grid = round(_GRID_SECONDS / _FRAME_SECONDS)
        found: dict[str, list[np.ndarray]] = {}
        columns = (self.table[name].to_numpy() for name in ("speaker", "first", "num_samples"))
        for speaker, first, num_samples in zip(*columns, strict=True):
            frame = first // self.frame_samples
            last = num_samples // self.frame_samples - cut_frames
            frames = frame + np.arange(0, last + 1, grid)
            share = (self.active[frames + cut_frames] - self.active[frames]) / cut_frames
            frames = frames[share >= min_activity]
            if len(frames):
                found.setdefault(speaker, []).append(frames * self.frame_samples)
        return {speaker: np.concatenate(parts) for speaker, parts in sorted(found.items())}

    def locate(self, positions: np.ndarray) -> np.ndarray:
        """Return the row of `table` for each position in `pcm`."""
        return np.searchsorted(self.table["first"].to_numpy(), positions, side="right") - 1

    def describe(self, position: int) -> str:
        """Describe the source of a position in `pcm`: the file and the time."""
        row = self.table.iloc[int(self.locate(position))]
        return f"{row['path']} at {(position - row['first'] + row['start']) / self.sample_rate:.2f} s"


def build(shards: Shards, description: str = "indexing speech") -> SpeechBank:
    """Write the bank of a prepared split next to its shards, or open an existing one.

    Args:
        shards: Whole recordings, from `common.data.shards.prepare`.
        description: Label of the progress bar.

    Raises:
        UserError: The existing bank is damaged.
    """
    pcm_path, index_path = shards.folder / "bank.pcm", shards.folder / "bank.npz"
    frame_samples = round(_FRAME_SECONDS * shards.sample_rate)
    if not index_path.exists():
        rows, lengths, active = [], [], []
        with (
            files.atomic_path(pcm_path) as temporary,
            temporary.open("wb") as target,
            progress.bar(len(shards.rows), description, "recording") as meter,
        ):
            for row, pcm in recordings(shards):
                # Cut to whole frames, so that every recording starts at a frame.
                pcm = pcm[: len(pcm) // frame_samples * frame_samples]
                target.write(pcm.tobytes())
                rows.append(row)
                lengths.append(len(pcm))
                active.append(_activity(pcm, frame_samples))
                meter.update()
        activity = np.concatenate([[0], np.cumsum(np.concatenate(active), dtype=np.int64)])
        with files.atomic_path(index_path) as temporary, temporary.open("wb") as target:
            np.savez(target, rows=rows, lengths=lengths, active=activity)
    try:
        index = arrays.read(index_path)
        rows, lengths, active = index["rows"], index["lengths"], index["active"]
        pcm = np.memmap(pcm_path, "<i2", "r") if sum(lengths) else np.zeros(0, "<i2")
        if len(pcm) != sum(lengths) or sorted(rows) != sorted(shards.rows):
            raise ValueError("its files do not match")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{pcm_path} is damaged ({error}); delete {shards.folder} to create it again") from error
    table = shards.manifest.loc[rows, ["path", "speaker", "sex"]].reset_index(drop=True)
    starts = (shards.manifest.loc[rows, "start"].to_numpy() * shards.sample_rate).round().astype(np.int64)
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    table = table.assign(first=firsts, num_samples=np.asarray(lengths, np.int64), start=starts)
    return SpeechBank(pcm, table, active, shards.sample_rate)


def _activity(pcm: np.ndarray, frame_samples: int) -> np.ndarray:
    """Return for each frame whether it is within 30 dB of the loudest one, like `librosa.effects.split`."""
    if not len(pcm):
        return np.zeros(0, bool)
    rms = librosa.feature.rms(
        y=audio.from_pcm16(pcm), frame_length=_WINDOW_FRAMES * frame_samples, hop_length=frame_samples
    )[0, : len(pcm) // frame_samples]
    peak = rms.max()
    return rms > peak * 10 ** (-_ACTIVE_DB / 20) if peak > 0 else np.zeros(len(rms), bool)


def sexes(bank: SpeechBank, speakers: Sequence[str]) -> np.ndarray:
    """Return the sex of each speaker, `F`, `M` or empty, shape `(speakers,)`."""
    known = bank.table.drop_duplicates("speaker").set_index("speaker")["sex"]
    return known.loc[list(speakers)].to_numpy(str)
