"""Tracks taken apart into stems that can be read anywhere at once: what excerpts and new mixes are cut from.

Every track is decoded once, all its stems side by side, into a file of 16-bit PCM that is mapped into memory: of the sound
only what is read takes memory. The files lie in a folder named by what they depend on, and each is complete or absent, so
an interrupted preparation goes on where it was.
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
        stems: Names, in the order of the second axis of `pcm`.
        tracks: Names of the tracks, in order.
        groups: Who must not be mixed up with whom: the singer of each track where known, else the track.
        pcm: For each track int16 of shape `(samples, stems, channels)`, mapped into memory.
        sample_rate: In hertz.
        rejected: A table `path`, `reason` of tracks that could not be used.
    """

    stems: tuple[str, ...]
    tracks: tuple[str, ...]
    groups: tuple[str, ...]
    pcm: tuple[np.ndarray, ...]
    sample_rate: int
    rejected: pd.DataFrame

    @property
    def seconds(self) -> float:
        """How long all tracks last."""
        return sum(map(len, self.pcm)) / self.sample_rate

    def describe(self, track: int, start: int) -> str:
        """Say what an excerpt was read from: the track, and where in it."""
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
    """Decode every track of a manifest, or find it done.

    Args:
        table: Rows with `track` and `stem` (see `common.corpora.manifest`).
        root: Parent folder of all banks.
        stems: What each track is taken apart into; see `common.corpora.tracks.read`.
        sample_rate: Rate to store at, in hertz.
        num_channels: 1 or 2; see `common.corpora.tracks.read`.
        max_rejected: Share of tracks that may be unusable.
        description: What the progress bar says.

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
        way_out = "delete it and its .json to have it made again"
        try:
            report = files.read_json(path.with_suffix(".json"), way_out)
            if report["reason"]:
                rejected.append((tracks[name]["path"].iloc[0], report["reason"]))
                continue
            shape = (report["num_samples"], len(stems), num_channels)
            if path.stat().st_size != 2 * np.prod(shape):
                raise ValueError("it has another length than its report says")
            pcm.append(np.memmap(path, "<i2", "r", shape=shape))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); {way_out}") from error
        names.append(name)
    table = pd.DataFrame(rejected, columns=["path", "reason"])
    decoded.check_rejected(table, len(tracks), max_rejected, "tracks")
    groups = tuple(tracks[name]["speaker"].iloc[0] or name for name in names)
    return TrackBank(stems, tuple(names), groups, tuple(pcm), sample_rate, table)


def _key(settings: list, rows: pd.DataFrame) -> str:
    wanted = rows[["path", "start", "duration", "stem", "channel"]]
    return decoded.key(settings, wanted.itertuples(index=False, name=None))
