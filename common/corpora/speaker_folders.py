"""Recordings of single speakers: one folder per speaker, and an optional table of speakers.

anna/anything.wav              one folder per speaker; folders inside it belong to it
train/anna/…, test/bert/…      the same under folders named after splits (`layouts.SPLIT_NAMES`)
speakers.csv                   columns speaker,sex (F or M) and optionally split; `speaker` is a folder name
"""

from pathlib import Path

import pandas as pd

from common.corpora import folder, layouts, manifest, own_tables, splits
from common.corpora.speech_commands import BACKGROUND_NOISE, SILENCE, speaker_of
from common.errors import UserError
from common.files.names import plain_name
from common.log import logger

TABLE = "speakers.csv"
LAYOUT = "one folder per speaker with recordings inside, such as anna/1.wav and bert/1.wav"


def index(root: str | Path) -> pd.DataFrame:
    """List the recordings; without given splits, speakers are split by a hash of their names.

    Each split gets at least one speaker. If `validation` or `test` is missing while `train` exists, its speakers are taken
    from `train`. If all speakers are in `test`, they stay there.

    Args:
        root: The folder.

    Returns:
        A manifest (`common.corpora.manifest`) without labels. The sex is empty if the table does not give it.

    Raises:
        UserError: The folder is missing, has no recordings, or has them outside the speaker folders only.
        UserError: The folders look like words, subsets or folds, or there is only one.
        UserError: Split folders are mixed with others, or a speaker is in two of them.
        UserError: The table lacks a column, lists a speaker twice, or has an invalid value.
        UserError: The table gives splits for some speakers only, or although there are split folders.
        UserError: There are fewer speakers than splits to fill.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; expected {LAYOUT}")
    found = _without_noise(root, folder.recordings_by_folder(root, LAYOUT, "speaker", "speakers", [TABLE]))
    _check_layout(root, found)
    sexes, split_of = _read_table(root / TABLE, {speaker for _, speaker, _ in found})
    if not split_of:
        split_of = _splits_of_folders(root, found)
    elif any(split for _, _, split in found):
        raise UserError(f"{root} has split folders, and {TABLE} also gives splits; expected only one of them")
    table = manifest.from_rows(
        {"path": path, "speaker": speaker, "split": split_of[speaker], "sex": sexes.get(speaker, "")}
        for path, speaker, _ in found
    )
    _check_counts(root, split_of)
    return splits.assign(table, root)


def _without_noise(root: Path, found: list[tuple[Path, str, str]]) -> list[tuple[Path, str, str]]:
    spoken = [row for row in found if row[1] not in (BACKGROUND_NOISE, SILENCE)]
    if len(spoken) < len(found):
        logger.info(
            "%s: left out %d recordings of noise without a speaker; give them by --noise_dir",
            root,
            len(found) - len(spoken),
        )
    return spoken


def _check_layout(root: Path, found: list[tuple[Path, str, str]]) -> None:
    """Reject folders that are not speakers: subsets, folds, words, or a single folder."""
    speakers = {speaker for _, speaker, _ in found}
    if layouts.looks_like(speakers) == layouts.SUBSETS:
        raise UserError(
            f"{root}: its folders are subsets of LibriSpeech ({layouts.shown(speakers)}), not speakers; expected {LAYOUT}:"
            " give --corpus=librispeech with this folder"
        )
    layouts.refuse_splits_and_folds(root, speakers, LAYOUT)
    prefixes = {speaker_of(path) for path, _, _ in found}
    if "" not in prefixes and len(prefixes) > 1 and not prefixes & speakers:
        raise UserError(
            f"{root}: its folders look like words ({layouts.shown(speakers)}), each spoken by several people; expected"
            f" {LAYOUT}"
        )
    if len(speakers) == 1 and not any(split for _, _, split in found):
        inside = layouts.inner(root, [tuple(speakers)])
        raise UserError(
            f"{root} has one speaker folder, {inside.name}; expected several: give {inside} if the speakers' folders are in"
            " it, or add other speakers"
        )


def _splits_of_folders(root: Path, found: list[tuple[Path, str, str]]) -> dict[str, str]:
    split_of = {}
    for _, speaker, split in found:
        if split_of.setdefault(speaker, split) != split:
            raise UserError(
                f'{root} has the speaker "{speaker}" in {split_of[speaker]} and in {split}; expected every speaker in'
                " one split: move one folder, or rename it if they are two people"
            )
    return split_of


def _check_counts(root: Path, split_of: dict[str, str]) -> None:
    """Check that there is a speaker for each split that `splits.assign` has to fill."""
    given = set(split_of.values()) - {""}
    if given and "train" not in given:
        return
    wanted = [split for split in manifest.SPLITS if split not in given or split == "train"]
    num_speakers = sum(split in ("", "train") for split in split_of.values())
    if num_speakers < len(wanted):
        raise UserError(
            f"{root} has {num_speakers} speakers for {' and '.join(wanted)}; expected at least {len(wanted)}, one for"
            " each split: add speakers, or put all of them into a folder named test to evaluate only"
        )


def _read_table(path: Path, speakers: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the sex and the split of each speaker; the splits are empty if the table gives none."""
    if not path.is_file():
        return {}, {}
    table = own_tables.read(path, ("speaker", "sex"), ("split",), "speakers")
    sexes, given = {}, {}
    # Line 1 is the header, hence the count from 2.
    for line, row in enumerate(table.to_dict("records"), start=2):
        values = {name: value.strip() for name, value in row.items()}
        speaker = plain_name(values["speaker"])
        if not speaker:
            raise UserError(f"{path} line {line} has no speaker; expected the name of a folder")
        if speaker in sexes:
            raise UserError(f"{path} lists {speaker} more than once; expected one line per speaker")
        sexes[speaker] = own_tables.meaning(path, line, "sex", values, own_tables.SEXES)
        given[speaker] = own_tables.meaning(path, line, "split", values, {"": "", **layouts.SPLIT_NAMES})
    absent = sorted(set(sexes) - speakers)
    if absent:
        logger.warning("%s lists %d speakers without a folder, e.g. %s", path, len(absent), ", ".join(absent[:3]))
    split_of = {speaker: given.get(speaker, "") for speaker in sorted(speakers)}
    without = [speaker for speaker, split in split_of.items() if not split]
    if 0 < len(without) < len(split_of):
        raise UserError(
            f"{path} gives a split to {len(split_of) - len(without)} of {len(split_of)} speakers, none to"
            f" {', '.join(without[:3])}; expected all of them or none"
        )
    return sexes, {} if without else split_of
