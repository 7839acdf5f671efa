"""Multitrack music: one folder per track, one file per stem.

    My Song/{mixture,vocals,drums,bass,other}.wav    any stems, any format, any depth of folders
    My Song/{mixture,vocals}.wav                     the accompaniment is the mixture minus the vocals
    train/My Song/…, test/Your Song/…                splits (`layouts.SPLIT_NAMES`)

The file name is the name of the stem. If there is no `mixture`, a file named `mix`, `master` or similar is the mixture
(`stem_names.is_mixture`). Without split folders, tracks are split by a hash of their names; fewer than three tracks are
all `train`.
"""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from common.audio import formats, listing
from common.corpora import layouts, manifest, splits, stem_names
from common.errors import UserError
from common.files.names import plain_name
from common.log import logger

LAYOUT = "one folder per track with one file per stem, such as song/vocals.wav and song/drums.wav"


def index(root: str | Path, validation_tracks: Collection[str] = ()) -> pd.DataFrame:
    """List the stems of all tracks.

    Args:
        root: The folder.
        validation_tracks: Names of tracks in `train` to use for validation.

    Returns:
        A manifest (`common.corpora.manifest`) with one row per stem, with `track` and `stem`.

    Raises:
        UserError: The folder is missing, has no tracks, or mixes split folders with others.
        UserError: The folders look like folds or like stems, or the split folders are one level deeper.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; expected {LAYOUT}")
    found = listing.find(root)
    found.tell()
    packed = next((path for path in found.files if path.name.lower().endswith(".stem.mp4")), None)
    if packed:
        raise UserError(
            f"{packed} is a multi-stream stem file, which is not supported; expected {LAYOUT}: use MUSDB18-HQ, or export"
            " each stem to a separate file"
        )
    tracks = _tracks(found)
    if not tracks:
        raise UserError(_nothing_found(root, [path for path in found.files if path.parent == root]))
    _check_layout(root, tracks)
    given = {name: layouts.split_of(name[0]) for name in tracks}
    if len(set(given.values()) - {""}) > 1 and "" in given.values():
        other = next("/".join(name) for name, split in given.items() if not split)
        raise UserError(f"{root} mixes split folders with others ({other}); move the others away or into the splits")
    table = manifest.from_rows(
        {
            "path": path,
            "split": "validation" if name[-1] in validation_tracks and given[name] == "train" else given[name],
            "track": "/".join(name),
            "stem": stem,
        }
        for name, stems in tracks.items()
        for stem, path in stems.items()
    )
    return splits.assign(table, root) if table["track"].nunique() >= len(manifest.SPLITS) else few(table)


def few(table: pd.DataFrame) -> pd.DataFrame:
    """Return a manifest too small to split: rows without a split become `train`; `--split=all` can evaluate them."""
    return table.assign(split=table["split"].where(table["split"] != "", "train"))


def _nothing_found(root: Path, loose: list[Path]) -> str:
    if not loose:
        return f"{root} has no recordings; expected {LAYOUT} ({formats.USUAL_SUFFIXES})"
    names = [path.stem for path in loose]
    hint = f": give the folder above it, {root.parent}" if _is_song(names) else ""
    return f"{root} has {len(loose)} recordings but no folders of stems; expected {LAYOUT}{hint}"


def _is_song(names: Collection[str]) -> bool:
    return len(names) > 1 and any(stem_names.is_part(name) or stem_names.is_mixture(name) for name in names)


def _check_layout(root: Path, tracks: Collection[tuple[str, ...]]) -> None:
    """Reject folders that look like a layout other than splits and tracks."""
    tops = {name[0] for name in tracks}
    layouts.refuse_splits_and_folds(root, tops, LAYOUT)
    if stem_names.are_parts(tops):
        raise UserError(
            f"{root}: its folders look like stems ({layouts.shown(tops)}), with one file per song; expected {LAYOUT}: move"
            " the files of each song into one folder and name them after their stems"
        )
    layouts.refuse_one_too_high(root, tracks, "tracks")


def _tracks(found: listing.Listing) -> dict[tuple[str, ...], dict[str, Path]]:
    """Find the folders with stems: map the folder names below the root to the file of each stem."""
    folders: dict[tuple[str, ...], list[Path]] = {}
    files, num_copies = listing.one_a_name(found)
    for path in files:
        folders.setdefault(found.parts(path)[:-1], []).append(path)
    loose = folders.pop((), [])
    alone = [name for name, paths in folders.items() if len(paths) == 1]
    for name in alone:
        del folders[name]
    if folders:
        _log_left_out(found.root, loose, alone, num_copies)
    renamed: Counter[str] = Counter()
    tracks = {name: _stems(name[-1], paths, renamed) for name, paths in folders.items()}
    for message, count in renamed.items():
        logger.info("%s: in %d tracks %s", found.root, count, message)
    return tracks


def _log_left_out(root: Path, loose: list[Path], alone: list[tuple[str, ...]], num_copies: int) -> None:
    counted = {
        "recordings outside the track folders": len(loose),
        "folders with one recording only": len(alone),
        "recordings that also exist in another format": num_copies,
    }
    counted = [f"{count} {what}" for what, count in counted.items() if count]
    if counted:
        logger.warning("%s: left out %s", root, ", ".join(counted))


def _stems(track: str, paths: list[Path], renamed: Counter[str]) -> dict[str, Path]:
    """Return the file of each stem of a track; count in `renamed` the mixtures that were recognised by their name."""
    stems: dict[str, Path] = {}
    named = [(plain_name(path.stem), path) for path in paths]
    # Of two names that differ in case only, one keeps its capitals.
    for name, path in sorted(named, key=lambda item: not item[0].islower()):
        stems[name if name.lower() in stems else name.lower()] = path
    wholes = [stem for stem in stems if stem != stem_names.MIXTURE and stem_names.is_mixture(stem, track)]
    if stem_names.MIXTURE not in stems and wholes and len(stems) > 1:
        # The shortest name: mix before mix final v2.
        chosen = min(wholes, key=lambda stem: (len(stem), stem))
        stems[stem_names.MIXTURE] = stems.pop(chosen)
        renamed[f"{_generic(chosen, track)} is the mixture"] += 1
        wholes.remove(chosen)
    for stem in wholes:
        del stems[stem]
        renamed[f"{_generic(stem, track)} is another mixture and is left out"] += 1
    return stems


def _generic(stem: str, track: str) -> str:
    """Remove the track name from a stem name, so that equal stems of different tracks are counted together."""
    return stem.replace(track.lower(), "").strip(" _-.()[]") or stem
