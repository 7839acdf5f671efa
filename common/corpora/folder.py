"""User recordings: one folder per class, or a table.

Three layouts are supported:

    yes/anything.wav               one folder per class; folders inside it belong to it
    train/yes/…, test/yes/…        the same under folders named after splits (`layouts.SPLIT_NAMES`)
    metadata.csv                   columns file,label and optionally speaker, split, sex (F or M); only the listed
                                   recordings are used, and `file` is relative to the folder

As in Speech Commands, a file named `<speaker>_nohash_<anything>` gives its speaker, and noise in `_background_noise_`,
next to the classes or the splits, is divided in time.
"""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from common.audio import formats, listing
from common.corpora import layouts, manifest, own_tables, splits
from common.corpora.speech_commands import BACKGROUND_NOISE, SILENCE, UNKNOWN, noise_rows, speaker_of
from common.errors import UserError
from common.files.names import plain_name
from common.log import logger

TABLE = "metadata.csv"
LAYOUT = "one folder per class with recordings inside, such as yes/1.wav and no/1.wav"


def index(
    root: str | Path, draw_missing: bool = True, words: Collection[str] = (), draw_splits: bool = True
) -> pd.DataFrame:
    """List the recordings; splits that the layout does not give are assigned by `common.corpora.splits.assign`.

    If there is a `train` folder and `validation` or `test` is missing, the missing split is taken from `train`. If
    `test` is the only folder, all recordings are `test`.

    Args:
        root: The folder.
        draw_missing: Whether to fill a missing split from `train`; otherwise all of `train` is for training.
        words: Requested classes; folders with these names are classes, even if they look like speakers, folds or
            splits.
        draw_splits: Whether to draw the splits that the layout does not give; otherwise all recordings without a split
            are for training.

    Returns:
        A manifest (`common.corpora.manifest`).

    Raises:
        UserError: The folder is missing, has no recordings, or has them outside class folders only.
        UserError: Split folders are mixed with others.
        UserError: The folders look like speakers, folds or splits, or there is only one.
        UserError: A class has fewer recordings than splits to fill.
        UserError: The table lacks a column, lists a recording twice, or has an invalid value.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; expected {LAYOUT}")
    rows = _rows_of_table(root) if (root / TABLE).is_file() else _rows_of_folders(root, words)
    classes = manifest.from_rows(row for row in rows if row["label"] != BACKGROUND_NOISE)
    if draw_splits:
        classes = splits.assign(classes, root, draw_missing)
    else:
        classes["split"] = classes["split"].where(classes["split"] != "", "train")
    noise = [row for row in rows if row["label"] == BACKGROUND_NOISE]
    noise = [part for row in noise for part in ([row] if row["split"] else noise_rows(Path(row["path"])))]
    return manifest.from_rows(classes.to_dict("records") + noise)


def recordings_by_folder(
    root: Path, layout: str = LAYOUT, kind: str = "class", kinds: str = "classes", used: Collection[str] = ()
) -> list[tuple[Path, str, str]]:
    """List the recordings in folders of classes or speakers, with or without split folders above them.

    Args:
        root: The folder.
        layout: The expected layout, for messages.
        kind: What a folder stands for, for messages.
        kinds: The plural of `kind`.
        used: Non-audio files in the root that are in use.

    Returns:
        Each recording with its folder name and its split; the split is empty if there are no split folders.

    Raises:
        UserError: There are no recordings, or they are outside such folders.
        UserError: Split folders are mixed with others.
    """
    found = listing.find(root)
    found.tell(used)
    files, num_copies = listing.one_a_name(found)
    if num_copies:
        logger.warning("%s: left out %d recordings that also exist in another format", root, num_copies)
    named = [(path, found.parts(path)) for path in files]
    loose = [path for path, parts in named if len(parts) == 1]
    named = [(path, parts) for path, parts in named if len(parts) > 1]
    if not any(parts[0] != BACKGROUND_NOISE for _, parts in named):
        raise UserError(_nothing_found(root, len(loose), layout, kind, kinds))
    if loose:
        logger.warning(
            "%s: %d recordings outside the %s folders are left out, e.g. %s", root, len(loose), kind, loose[0]
        )
    if not _has_splits(root, dict.fromkeys(parts[0] for _, parts in named), kinds):
        _refuse_split_beside(root, [parts for _, parts in named], kinds)
        return [(path, parts[0], "") for path, parts in named]
    rows = []
    for path, parts in named:
        if parts[0] == BACKGROUND_NOISE:
            rows.append((path, parts[0], ""))
        elif len(parts) < 3:
            raise UserError(f"{path} is outside a {kind} folder; expected {root.name}/{parts[0]}/<{kind}>/{parts[-1]}")
        else:
            rows.append((path, parts[1], layouts.split_of(parts[0])))
    return rows


def _nothing_found(root: Path, num_loose: int, layout: str, kind: str, kinds: str) -> str:
    if not num_loose:
        return f"{root} has no recordings; expected {layout} ({formats.USUAL_SUFFIXES})"
    return (
        f"{root} has {num_loose} recordings but no {kind} folders; expected {layout}: if {root.name} is one of the {kinds},"
        f" give the folder above it, {root.parent}"
    )


def _refuse_split_beside(root: Path, named: Collection[tuple[str, ...]], kinds: str) -> None:
    """Reject a split folder that contains folders only, next to folders of recordings."""
    with_files = {parts[0] for parts in named if len(parts) == 2} - {BACKGROUND_NOISE}
    folders = {parts[0] for parts in named} - with_files
    split = next((name for name in sorted(folders) if layouts.split_of(name)), None)
    if split and with_files and not any(layouts.split_of(name) for name in with_files):
        raise UserError(
            f"{root}: {split} looks like a split folder, next to {kinds} ({layouts.shown(with_files)}); move those into a"
            f" folder named train, or rename {split}"
        )


def _has_splits(root: Path, names: Collection[str], kinds: str) -> bool:
    """Whether the folders of a root are splits, apart from background noise."""
    named_as_splits = [name for name in names if layouts.split_of(name)]
    others = sorted(set(names) - {*named_as_splits, BACKGROUND_NOISE})
    if others and len({layouts.split_of(name) for name in named_as_splits}) > 1:
        raise UserError(
            f"{root} mixes split folders ({', '.join(named_as_splits)}) with others ({', '.join(others[:3])}); "
            f"expected either splits or {kinds}: move the others away or into the splits"
        )
    return not others


def _rows_of_folders(root: Path, words: Collection[str]) -> list[dict]:
    found = recordings_by_folder(root)
    labels = {label for _, label, _ in found} - {BACKGROUND_NOISE, SILENCE, UNKNOWN}
    if labels and not labels & set(words):
        _check_classes(root, labels, found)
    return [{"path": path, "label": label, "split": split, "speaker": speaker_of(path)} for path, label, split in found]


def _check_classes(root: Path, labels: Collection[str], found: list[tuple[Path, str, str]]) -> None:
    """Reject folders that do not look like classes, or a single folder."""
    meaning = layouts.looks_like(labels)
    if meaning == layouts.SPEAKERS:
        explicit = f", or, if they are words, list them: --words={','.join(sorted(labels)[:3])},…"
        raise UserError(
            f"{root}: its folders look like speakers ({layouts.shown(labels)}), not like words; expected {LAYOUT}:"
            f" rearrange them, or add a {TABLE} with the columns file,label,speaker{explicit}"
        )
    layouts.refuse_splits_and_folds(root, labels, LAYOUT)
    if len(labels) > 1:
        return
    (label,) = labels
    home = next(path for path, name, _ in found if name == label)
    inside = sorted({path.relative_to(root).parts[1] for path, _, split in found if not split and _is_deep(path, root)})
    if inside and not any(split for _, _, split in found):
        hint = f"give the folder inside it, {root / home.relative_to(root).parts[0]}, if {layouts.shown(inside)} are classes"
    else:
        hint = f"add recordings of another class, or request this one only: --words={label}"
    raise UserError(f'{root} has one class folder, "{label}"; expected at least two: {hint}')


def _is_deep(path: Path, root: Path) -> bool:
    return len(path.relative_to(root).parts) > 2


def _rows_of_table(root: Path) -> list[dict]:
    path = root / TABLE
    table = own_tables.read(path, ("file", "label"), ("speaker", "split", "sex"), "recordings")
    locate = own_tables.locator(root)
    rows, lines = [], {}
    # Line 1 is the header, hence the count from 2.
    for line, row in enumerate(table.to_dict("records"), start=2):
        values = {name: value.strip() for name, value in row.items()}
        if not values["file"] or not values["label"]:
            raise UserError(f"{path} line {line} has no file or no label; expected both")
        recording = locate(values["file"])
        if lines.setdefault(str(recording), line) != line:
            raise UserError(f"{path} lists {values['file']} more than once; expected one line per recording")
        rows.append(
            {
                "path": recording,
                "label": plain_name(values["label"]),
                "speaker": plain_name(values.get("speaker", "")) or speaker_of(recording),
                "split": own_tables.meaning(path, line, "split", values, {"": "", **layouts.SPLIT_NAMES}),
                "sex": own_tables.meaning(path, line, "sex", values, own_tables.SEXES),
            }
        )
    num_given = sum(bool(row["split"]) for row in rows)
    if 0 < num_given < len(rows):
        raise UserError(f"{path} gives a split for {num_given} of {len(rows)} recordings; expected all of them or none")
    return rows
