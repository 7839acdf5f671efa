"""ESC-50 and its subset ESC-10: five-second environmental sounds, used as noise or as classes.

    audio/1-100032-A-0.wav         or .flac
    meta/esc50.csv                 columns filename, fold, category, src_file (and others)

Source: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia, 2015.
"""

from pathlib import Path

import pandas as pd

from common.audio import listing
from common.corpora import manifest
from common.errors import UserError
from common.files import tables
from common.files.names import plain_name

LAYOUT = "audio/<name>.wav or .flac and meta/esc50.csv"


def index(root: str | Path) -> pd.DataFrame:
    """List the recordings that are both in the table and in the folder.

    The last fold is `test`, the one before it `validation` and the others `train`; in the full corpus: 5, 4 and 1 to 3.
    Clips cut from the same longer recording are in one fold; the id of that recording is stored as the speaker.

    Args:
        root: The folder with `audio` and `meta`.

    Returns:
        A manifest (`common.corpora.manifest`); the label is the category.

    Raises:
        UserError: The folder or the table is missing or has another layout.
        UserError: The table lists a recording twice, or there are fewer than three folds.
    """
    root = Path(root).absolute()
    path = root / "meta" / "esc50.csv"
    if not path.is_file() or not (root / "audio").is_dir():
        raise UserError(f"{root} is not ESC-50; expected {LAYOUT}")
    try:
        table = tables.read(path, dtype=str, keep_default_na=False)
        table["fold"] = table["fold"].astype(int)
        names, folds, labels, sources = (table[name] for name in ("filename", "fold", "category", "src_file"))
    except (OSError, ValueError, KeyError, OverflowError) as error:
        raise UserError(
            f"cannot read {path}: {error}; expected the columns filename, fold, category, src_file"
        ) from error
    present = {plain_name(file.stem): file for file in listing.find(root / "audio", depth=1).files}
    # Compressed copies of the corpus keep the names of the table but change the suffix.
    kept = [
        (present[_stem(name)], fold, plain_name(label), plain_name(source))
        for name, fold, label, source in zip(names, folds, labels, sources, strict=True)
        if _stem(name) in present
    ]
    twice = pd.Series([path for path, _, _, _ in kept], dtype=object).duplicated()
    if twice.any():
        raise UserError(f"{path} lists {kept[twice.argmax()][0].name} more than once; expected one line per recording")
    found = sorted({fold for _, fold, _, _ in kept})
    if len(found) < 3:
        raise UserError(f"{root} has recordings of {len(found)} folds; expected at least three, one for each split")
    split_of = {**dict.fromkeys(found, "train"), found[-2]: "validation", found[-1]: "test"}
    return manifest.from_rows(
        {"path": file, "split": split_of[fold], "label": label, "speaker": source} for file, fold, label, source in kept
    )


def _stem(name: str) -> str:
    return plain_name(Path(name).stem)
