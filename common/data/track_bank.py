"""Decoded stems of tracks with random access, the source of training excerpts and remixes.

Every track is decoded once, with its stems interleaved, into a memory-mapped file of 16-bit PCM. Only the parts that
are read use memory. File names depend on the recordings and settings. Files are written atomically, so an interrupted
preparation resumes.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from common import audio, files, progress
from common.corpora import tracks as track_files
from common.data import decoded
from common.distribution import workers
from common.errors import UserError

_VERSION = 2


@dataclasses.dataclass(frozen=True)
class TrackBank:
    """The tracks of a split.

    Attributes:
        stems: Names of the stems, in the order of the second axis of `pcm`.
        tracks: Names of the tracks, in order.
        groups: The group of each track: its singer if known, else the track. Tracks of one group belong together.
        pcm: For each track a memory-mapped int16 array of shape `(samples, stems, channels)`.
        sample_rate: Sample rate in Hz.
        rejected: A table `path`, `reason` of unusable tracks.
    """

    stems: tuple[str, ...]
    tracks: tuple[str, ...]
    groups: tuple[str, ...]
    pcm: tuple[np.ndarray, ...]
    sample_rate: int
    rejected: pd.DataFrame

    @property
    def seconds(self) -> float:
        """Total length of all tracks."""
        return sum(map(len, self.pcm)) / self.sample_rate

    def describe(self, track: int, start: int) -> str:
        """Describe the source of an excerpt: the track and the time."""
        return f"{self.tracks[track]} at {start / self.sample_rate:.2f} s"


def prepare(
    table: pd.DataFrame,
    root: str | Path,
    stems: Sequence[str],
    sample_rate: int,
    num_channels: int,
    *,
    max_rejected: float = 0.05,
    description: str = "preparing",
) -> TrackBank:
    """Decode every track of a manifest that is not decoded yet.

    Args:
        table: Rows with `track` and `stem` (see `common.corpora.manifest`).
        root: Parent folder of all banks.
        stems: Names of the stems; see `common.corpora.tracks.read`.
        sample_rate: Sample rate to store, in Hz.
        num_channels: 1 or 2; see `common.corpora.tracks.read`.
        max_rejected: Tolerated fraction of unusable tracks.
        description: Label of the progress bar.

    Raises:
        UserError: More than `max_rejected` of the tracks cannot be used, or none can.
    """
    tracks = dict(list(table.groupby("track", sort=True)))
    settings = [_VERSION, sample_rate, num_channels, list(stems)]
    paths = {name: Path(root) / "tracks" / f"{_key(settings, rows)}.pcm" for name, rows in tracks.items()}
    missing = workers.own_first([name for name in tracks if not paths[name].with_suffix(".json").exists()])
    if missing:
        with progress.bar(len(tracks), description, "track", len(tracks) - len(missing)) as meter:
            tasks = [(tracks[name], paths[name], stems, sample_rate, num_channels) for name in missing]
            for _ in decoded.in_threads(_write_track, tasks):
                meter.update()
    return _open(tracks, paths, tuple(stems), sample_rate, num_channels, max_rejected)


def _write_track(rows: pd.DataFrame, path: Path, stems: Sequence[str], sample_rate: int, num_channels: int) -> None:
    if path.with_suffix(".json").exists():
        return
    report = {"num_samples": 0, "reason": ""}
    try:
        mixture, sounds = track_files.read(rows, stems, sample_rate, num_channels)
        track_files.check(rows["track"].iloc[0], mixture, dict(zip(stems, sounds, strict=True)))
    except UserError as error:
        report["reason"] = str(error)
    else:
        pcm = audio.to_pcm16(sounds.transpose(1, 0, 2))
        with files.atomic_path(path) as temporary:
            temporary.write_bytes(pcm.tobytes())
        report["num_samples"] = len(pcm)
    files.write_json(path.with_suffix(".json"), report)


def _open(
    tracks: dict[str, pd.DataFrame],
    paths: dict[str, Path],
    stems: tuple[str, ...],
    sample_rate: int,
    num_channels: int,
    max_rejected: float,
) -> TrackBank:
    names, pcm, rejected = [], [], []
    for name, path in paths.items():
        hint = "delete it and its .json to decode the track again"
        try:
            report = files.read_json(path.with_suffix(".json"), hint)
            if report["reason"]:
                rejected.append((tracks[name]["path"].iloc[0], report["reason"]))
                continue
            shape = (report["num_samples"], len(stems), num_channels)
            if path.stat().st_size != 2 * np.prod(shape):
                raise ValueError("its length differs from its report")
            pcm.append(np.memmap(path, "<i2", "r", shape=shape))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); {hint}") from error
        names.append(name)
    table = pd.DataFrame(rejected, columns=["path", "reason"])
    decoded.check_rejected(table, len(tracks), max_rejected, "tracks")
    groups = tuple(tracks[name]["speaker"].iloc[0] or name for name in names)
    return TrackBank(stems, tuple(names), groups, tuple(pcm), sample_rate, table)


def _key(settings: list, rows: pd.DataFrame) -> str:
    wanted = rows[["path", "start", "duration", "stem", "channel"]]
    return decoded.key(settings, wanted.itertuples(index=False, name=None))
