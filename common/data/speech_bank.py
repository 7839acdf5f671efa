"""Speech that can be read anywhere at once: what mixtures are cut from.

Shards are read from their beginning; a mixture wants a second out of the middle of three recordings. So the recordings
of a split are written one after another into a file that is mapped into memory, with a note of when somebody speaks.
Of the sound only what is read takes memory; the notes take about 3 GB for
1,000 hours.
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

# Time between two places where a cut may begin.
_GRID_SECONDS = 0.05
_FRAME_SECONDS = 0.01
_WINDOW_FRAMES = 3
_ACTIVE_DB = 30.0


@dataclasses.dataclass(frozen=True)
class SpeechBank:
    """The recordings of a split.

    Attributes:
        pcm: All recordings one after another, 16 bits, shape `(samples,)`.
        table: A row a recording: its manifest row's `path`, `speaker` and `sex`, and in samples its `first` in `pcm`,
            its `num_samples`, and `start`, where it begins in the file; in the order of `pcm`.
        active: Whether somebody speaks in each frame of 10 ms of `pcm`: the sum over all frames before it, shape
            `(frames + 1,)`.
        sample_rate: In hertz.
    """

    pcm: np.ndarray
    table: pd.DataFrame
    active: np.ndarray
    sample_rate: int

    @property
    def frame_samples(self) -> int:
        """Samples of a frame of `active`."""
        return round(_FRAME_SECONDS * self.sample_rate)

    @property
    def tracks(self) -> tuple[np.ndarray]:
        """All recordings as one track of one column, as `common.data.excerpts` reads it."""
        return (self.pcm[:, None, None],)

    def places(self, cut_samples: int, min_activity: float) -> dict[str, np.ndarray]:
        """List where cuts may begin.

        Args:
            cut_samples: Length of a cut; it lies in one recording.
            min_activity: Least share of the cut in which its speaker is active, in [0, 1].

        Returns:
            For each speaker positions in `pcm`, shape `(places,)`, one or more; speakers without any are left out.
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
        """Return the row of `table` that holds each position in `pcm`."""
        return np.searchsorted(self.table["first"].to_numpy(), positions, side="right") - 1

    def describe(self, position: int) -> str:
        """Say what a position in `pcm` was read from: the file, and where in it."""
        row = self.table.iloc[int(self.locate(position))]
        return f"{row['path']} at {(position - row['first'] + row['start']) / self.sample_rate:.2f} s"


def build(shards: Shards, description: str = "listening") -> SpeechBank:
    """Write the bank of a prepared split beside its shards, or find it there.

    Args:
        shards: Whole recordings, from `common.data.shards.prepare`.
        description: What the progress bar says.

    Raises:
        UserError: The bank that is there is damaged.
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
                # Whole frames, so that a recording begins with a frame.
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
            raise ValueError("its parts do not belong together")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{pcm_path} is damaged ({error}); delete {shards.folder} to have it made again") from error
    table = shards.manifest.loc[rows, ["path", "speaker", "sex"]].reset_index(drop=True)
    starts = (shards.manifest.loc[rows, "start"].to_numpy() * shards.sample_rate).round().astype(np.int64)
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    table = table.assign(first=firsts, num_samples=np.asarray(lengths, np.int64), start=starts)
    return SpeechBank(pcm, table, active, shards.sample_rate)


def _activity(pcm: np.ndarray, frame_samples: int) -> np.ndarray:
    """Say for each frame whether it is within 30 dB of the recording's loudest, as `librosa.effects.split` does."""
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
