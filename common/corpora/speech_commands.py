"""Google Speech Commands: one-second recordings of single words by many speakers.

Two layouts are supported. The corpus itself has a folder for each word and lists the files of two splits:

    yes/022cd682_nohash_0.wav      <word>/<speaker>_nohash_<number>.wav
    _silence_/…wav                 recordings without speech (optional)
    _background_noise_/…wav        minutes of noise, the source of silence clips
    validation_list.txt, testing_list.txt

The official test set (`speech_commands_test_set_v0.02`) has word folders, `_silence_` and `_unknown_`, and no lists.

Source: P. Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", arXiv:1804.03209, 2018.
"""

import os
from pathlib import Path

import pandas as pd

from common import audio
from common.audio import listing
from common.corpora import download as downloads
from common.corpora import manifest
from common.errors import UserError
from common.files.names import plain_name
from common.log import logger

SILENCE, UNKNOWN, BACKGROUND_NOISE = "_silence_", "_unknown_", "_background_noise_"
LISTS = {"validation_list.txt": "validation", "testing_list.txt": "test"}
FOLDER = "data/speech_commands"
LAYOUT = "<word>/<speaker>_nohash_<number>.wav with validation_list.txt and testing_list.txt"

URL = "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
# The checksum that torchaudio (datasets/speechcommands.py) and TensorFlow Datasets (checksums.tsv) both state.
SHA256 = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"

_SEPARATOR = "_nohash_"
_SHORTEST_DIVIDED_SECONDS = 10.0
_NOISE_SHARES = (("train", 0.0, 0.8), ("validation", 0.8, 0.9), ("test", 0.9, 1.0))


def index(root: str | Path) -> pd.DataFrame:
    """List the recordings with the official splits.

    - A file that is in a list has the split of the list; any other file is `train`. The speaker comes from the file
      name.
    - `_silence_` follows the lists too; if they contain no silence, it is split by the hash of the file name.
    - `_background_noise_` files are divided in time, see `noise_rows`.
    - A folder with `_unknown_` and without lists is the official test set; all of it is `test`.
    - Any other folder without lists is a part of the corpus and is split by the hash of the speakers.

    Args:
        root: The folder with the word folders.

    Returns:
        A manifest (`common.corpora.manifest`); the label is the folder name.

    Raises:
        UserError: The folder is missing, has no recordings, or has another layout.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise UserError(
            f"{root} is not a folder; expected Speech Commands laid out as {LAYOUT} (--download fetches it)"
        )
    found = listing.find(root, depth=2)
    folders: dict[str, list[Path]] = {}
    for path in found.files:
        if len(found.parts(path)) == 2:
            folders.setdefault(found.parts(path)[0], []).append(path)
    if not folders:
        raise UserError(
            f"no recordings in {root}; expected Speech Commands laid out as {LAYOUT} (--download fetches it)"
        )
    has_lists = any((root / name).exists() for name in LISTS)
    names_speakers = any(speaker_of(path) for paths in folders.values() for path in paths)
    listed = _read_lists(root) if has_lists or not (names_speakers or UNKNOWN in folders) else {}
    if not has_lists and UNKNOWN not in folders:
        logger.info("%s has no split lists: speakers are split by the hash of their names", root)
    silence_is_listed = any(name.startswith(f"{SILENCE}/") for name in listed)
    rows = []
    for label, paths in folders.items():
        for path in paths:
            if label == BACKGROUND_NOISE:
                rows.extend(noise_rows(path))
                continue
            if not has_lists:
                split = "test" if UNKNOWN in folders else manifest.hash_split(speaker_of(path) or path.name)
            elif label == SILENCE and not silence_is_listed:
                split = manifest.hash_split(path.name)
            else:
                split = listed.get(f"{label}/{plain_name(path.name)}", "train")
            rows.append({"path": path, "split": split, "label": label, "speaker": speaker_of(path)})
    return manifest.from_rows(rows)


def download(root: str | Path, url: str | None = None, sha256: str | None = None) -> Path:
    """Download version 0.02 (2.4 GB, CC BY 4.0), check it and unpack it.

    An interrupted download is resumed. A folder that is not empty is left unchanged.

    Args:
        root: The folder to fill.
        url: Download address; None for the environment variable `SPEECH_COMMANDS_URL`, else the official address.
        sha256: Checksum of the archive; None for the environment variable `SPEECH_COMMANDS_SHA256`, else the official
            one.

    Returns:
        The folder.

    Raises:
        UserError: As `common.corpora.download.fetch`.
    """
    return downloads.fetch(
        url or os.environ.get("SPEECH_COMMANDS_URL", URL),
        root,
        sha256 or os.environ.get("SPEECH_COMMANDS_SHA256", SHA256),
    )


def speaker_of(path: Path) -> str:
    """Return the speaker in a file name such as `022cd682_nohash_0.wav`, or empty.

    Example:
        >>> speaker_of(Path("yes/022cd682_nohash_0.wav"))
        '022cd682'
    """
    speaker, separator, _ = plain_name(path.stem).partition(_SEPARATOR)
    return speaker if separator else ""


def noise_rows(path: Path) -> list[dict]:
    """Divide a long noise recording in time, so that training and test noise do not overlap.

    Args:
        path: A noise recording.

    Returns:
        Three manifest rows: the first 80 % for training, the next 10 % for validation, the last 10 % for testing. A
        file shorter than 10 s is not divided, since a tenth of it is too short for a 1 s clip; its split is chosen by
        the hash of its name.
    """
    row = {"path": path, "label": BACKGROUND_NOISE}
    try:
        seconds = audio.info(path).duration_seconds
    except UserError:
        seconds = 0.0  # Not divided; the preparation of shards reports why the file is rejected.
    if seconds < _SHORTEST_DIVIDED_SECONDS:
        return [{**row, "split": manifest.hash_split(path.name)}]
    return [
        {**row, "start": begin * seconds, "duration": (end - begin) * seconds, "split": split}
        for split, begin, end in _NOISE_SHARES
    ]


def _read_lists(root: Path) -> dict[str, str]:
    missing = [name for name in LISTS if not (root / name).is_file()]
    if missing:
        raise UserError(
            f"{root} lacks {' and '.join(missing)}, so it is not Speech Commands; expected {LAYOUT}"
            " (--corpus=folder reads one folder per class without lists)"
        )
    listed = {}
    for name, split in LISTS.items():
        for line in (root / name).read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            if line.strip():
                listed[plain_name(line.strip().replace("\\", "/").removeprefix("./"))] = split
    return listed
