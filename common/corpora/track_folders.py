"""Music taken apart: one folder a track, one file a stem.

    My Song/{mixture,vocals,drums,bass,other}.wav    any stems, any format, any depth of folders
    My Song/{mixture,vocals}.wav                     what is not vocals is then the accompaniment
    train/My Song/…, test/Your Song/…                splits (val, valid and dev mean validation)

The file's name is the stem's. Without folders of splits, tracks are split by a hash of their
names; fewer than three are all `train`.
"""

import os
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from common.corpora import manifest, splits
from common.corpora.folder import SPLIT_NAMES
from common.errors import UserError

LAYOUT = "one folder a track with a file a stem, such as song/vocals.wav and song/drums.wav"


def index(root: str | Path, validation_tracks: Collection[str] = ()) -> pd.DataFrame:
    """List the stems of all tracks.

    Args:
        root: The folder.
        validation_tracks: Names of training tracks that validate, where the folders of splits do not say.

    Returns:
        A manifest (`common.corpora.manifest`), a row a stem, with `track` and `stem`.

    Raises:
        UserError: The folder is missing, has no tracks, or has split folders beside others.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; expected {LAYOUT}")
    tracks = _tracks(root)
    if not tracks:
        loose = manifest.audio_files(root)
        found = f"has {len(loose)} recordings but no folders of stems" if loose else "has no recordings"
        raise UserError(f"{root} {found}; expected {LAYOUT} (suffixes: {' '.join(manifest.AUDIO_SUFFIXES)})")
    given = {name: SPLIT_NAMES.get(Path(name).parts[0].lower(), "") for name in tracks}
    if len(set(given.values()) - {""}) > 1 and "" in given.values():
        other = next(name for name, split in given.items() if not split)
        raise UserError(f"{root} has split folders beside others ({other}); move the others away or into the splits")
    table = manifest.from_rows(
        {
            "path": path,
            "split": "validation" if Path(name).name in validation_tracks and given[name] == "train" else given[name],
            "track": name,
            "stem": path.stem.lower(),
        }
        for name, paths in tracks.items()
        for path in paths
    )
    return splits.assign(table, root) if table["track"].nunique() >= len(manifest.SPLITS) else few(table)


def few(table: pd.DataFrame) -> pd.DataFrame:
    """Return a manifest too small to be split: what has no split is `train`, which `--split=all` can still evaluate."""
    return table.assign(split=table["split"].where(table["split"] != "", "train"))


def _tracks(root: Path) -> dict[str, list[Path]]:
    """Find the folders that hold stems: their names below `root`, and the files of each."""
    found = {}
    for current, names, _ in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        paths = manifest.audio_files(current)
        if len(paths) > 1 and Path(current) != root:
            found[Path(current).relative_to(root).as_posix()] = paths
    return found
