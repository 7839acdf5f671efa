"""Any folder of music: recordings at any depth; the folder that a recording lies in is its genre.

    metal/one.wav, rock/two.mp3      genres metal and rock
    one.wav, two.wav                 no genre
    train/metal/…, test/metal/…      splits (val, valid and dev mean validation)

Without folders of splits, tracks are split by a hash of their names.
"""

from pathlib import Path

import pandas as pd

from common.corpora import manifest, splits
from common.corpora.folder import SPLIT_NAMES
from common.errors import UserError
from common.tracks import MIXTURE


def index(root: str | Path) -> pd.DataFrame:
    """List the recordings, a row each.

    Returns:
        A manifest (`common.corpora.manifest`): `track` is the path below the root without its suffix, `label` the genre,
        `stem` is `mixture`.

    Raises:
        UserError: The folder is missing, or has fewer recordings than splits.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; expected one with recordings of music")
    paths = manifest.audio_files_below(root)
    if not paths:
        raise UserError(f"{root} has no recordings (suffixes: {' '.join(manifest.AUDIO_SUFFIXES)})")
    table = manifest.from_rows(_row(root, path) for path in paths)
    if table["track"].nunique() < len(manifest.SPLITS):
        raise UserError(
            f"{root} has {table['track'].nunique()} track{'s' * (len(table) > 1)}; expected at least three, one each to"
            " train, to validate and to test: cut a long recording into several files, or add some"
        )
    # Genres share a split rule, but not a count: a genre of one track is fine among others.
    return splits.assign(table.assign(label=""), root).assign(label=table["label"])


def _row(root: Path, path: Path) -> dict:
    parts = path.relative_to(root).with_suffix("").parts
    split = SPLIT_NAMES.get(parts[0].lower(), "") if len(parts) > 1 else ""
    genre = parts[-2] if len(parts) > (2 if split else 1) else ""
    return {"path": path, "track": "/".join(parts), "label": genre, "split": split, "stem": MIXTURE}
