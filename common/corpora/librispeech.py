"""LibriSpeech: a thousand hours of English audiobooks by 2484 readers of known sex.

    train-clean-100/19/198/19-198-0000.flac    <subset>/<speaker>/<chapter>/<speaker>-<chapter>-<utterance>.flac
    SPEAKERS.TXT                               id | sex | subset | minutes | name

The subsets are in the folder itself or in its subfolder `LibriSpeech`, as in the archives.

Source: V. Panayotov, G. Chen, D. Povey, S. Khudanpur, "LibriSpeech: an ASR corpus based on public domain audio books",
ICASSP 2015. https://www.openslr.org/12, CC BY 4.0.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from common.audio import listing
from common.corpora import download as downloads
from common.corpora import manifest
from common.errors import UserError, nearest
from common.log import logger

FOLDER = "data/librispeech"
LAYOUT = "<subset>/<speaker>/<chapter>/<speaker>-<chapter>-<utterance>.flac, with subsets such as train-clean-100"
SPEAKERS = "SPEAKERS.TXT"

URL = "https://www.openslr.org/resources/12"
# The checksums that torchaudio (datasets/librispeech.py) states.
SHA256 = {
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
}

USUAL = ("dev-clean", "test-clean", "train-clean-100")

_FOLDER = "LibriSpeech"
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def index(root: str | Path, subsets: Sequence[str] = ()) -> pd.DataFrame:
    """List the recordings with their speakers and the sex of the speakers.

    If there are recordings of `train-*`, `dev-*` and `test-*`, these are the splits; no reader is in two of them. A
    part of the corpus that lacks one of the three is split by the hash of the speakers.

    Args:
        root: The folder with the subsets, or with a folder `LibriSpeech` that contains them.
        subsets: The subsets to list; all existing ones by default.

    Returns:
        A manifest (`common.corpora.manifest`) without labels. The sex is empty if `SPEAKERS.TXT` does not give it.

    Raises:
        UserError: The folder is missing, has no subsets, lacks a requested subset, or has no recordings.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; expected LibriSpeech laid out as {LAYOUT} (--download fetches it)")
    home = _home(root)
    found = {subset.name: subset for subset in _subsets(home)}
    if not found:
        hint = f"; give the folder above it, {root.parent}" if _kind(root.name) in _SPLITS else ""
        raise UserError(
            f"{root} has no subsets of LibriSpeech{hint}; expected {LAYOUT} (--download fetches the corpus)"
        )
    for name in subsets:
        if name not in found:
            raise UserError(
                f"--subsets: {home} has {', '.join(found)}, not {name!r} (--download fetches it).{nearest(name, found)}"
            )
    chosen = [subset for name, subset in found.items() if name in subsets or not subsets]
    sexes = _read_sexes(home / SPEAKERS)
    rows = [
        {
            "path": path,
            "split": _SPLITS[_kind(subset.name)],
            "speaker": speaker,
            "sex": sexes.get(speaker, ""),
        }
        for subset in chosen
        for path, speaker in _spoken(subset)
    ]
    if not rows:
        raise UserError(
            f"no recordings in {', '.join(subset.name for subset in chosen)} of {home}; expected LibriSpeech laid out"
            f" as {LAYOUT} (to download a subset again, remove its folder and give --download)"
        )
    if {row["split"] for row in rows} != set(manifest.SPLITS):
        logger.info("%s lacks subsets of train, dev or test: speakers are split by the hash of their numbers", home)
        rows = [{**row, "split": manifest.hash_split(row["speaker"])} for row in rows]
    return manifest.from_rows(rows)


def download(root: str | Path, subsets: Sequence[str] = (), url: str | None = None) -> Path:
    """Download subsets (CC BY 4.0), check and unpack them.

    Existing subsets are left unchanged. After an interruption, the same call resumes.

    Args:
        root: The folder to fill; subsets are stored next to existing ones, in `root` or `root/LibriSpeech`.
        subsets: Keys of `SHA256`; by default dev-clean, test-clean and train-clean-100 (7 GB, 111 hours).
        url: Address of the folder with the archives, e.g. a mirror; None for the environment variable
            `LIBRISPEECH_URL`, else the official address.

    Returns:
        The folder.

    Raises:
        UserError: A subset is unknown.
        UserError: As `common.corpora.download.fetch`.
    """
    subsets = subsets or USUAL
    unknown = [name for name in subsets if name not in SHA256]
    if unknown:
        raise UserError(
            f"--subsets: expected some of {', '.join(SHA256)}, got {unknown[0]!r}.{nearest(unknown[0], SHA256)}"
        )
    root = Path(root).absolute()
    url = (url or os.environ.get("LIBRISPEECH_URL", URL)).rstrip("/")
    home = _home(root)
    for name in subsets:
        # Hidden, so that it is not listed as a subset.
        workplace = home / f".{name}"
        if _is_filled(home / name):
            logger.info("%s exists and is used unchanged", home / name)
        else:
            downloads.fetch(f"{url}/{name}.tar.gz", workplace, SHA256[name])
            _move(workplace / _FOLDER, name, home)
        # Leftovers of an interruption after the subset was moved into place.
        shutil.rmtree(workplace, ignore_errors=True)
        shutil.rmtree(home / f".{name}.download", ignore_errors=True)
    return root


def _move(source: Path, name: str, home: Path) -> None:
    """Move the unpacked files into place; the subset comes last, since its presence marks completion."""
    try:
        for path in sorted(source.glob("*.TXT")):
            os.replace(path, home / path.name)
        if (home / name).is_dir():
            (home / name).rmdir()
        os.replace(source / name, home / name)
    except OSError as error:
        raise UserError(
            f"cannot move {source / name} to {home / name}: {error.strerror or error}; check the folder and the space"
        ) from error


def _is_filled(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _spoken(subset: Path) -> list[tuple[Path, str]]:
    """List the recordings of a subset, each with its speaker."""
    found = listing.find(subset, depth=3)
    named = [(path, found.parts(path)) for path in found.files]
    return [(path, parts[0]) for path, parts in named if len(parts) == 3]


def _home(root: Path) -> Path:
    """Return the folder of the subsets, whether they exist or not."""
    return root / _FOLDER if _subsets(root / _FOLDER) and not _subsets(root) else root


def _subsets(folder: Path) -> list[Path]:
    return [path for path in listing.folders(folder) if _kind(path.name) in _SPLITS]


def _kind(name: str) -> str:
    """Return the part before the hyphen, `train` for `train-clean-100`; empty without a hyphen."""
    kind, hyphen, _ = name.partition("-")
    return kind if hyphen else ""


def _read_sexes(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        logger.warning("cannot read %s (%s), so no speaker's sex is known", path, error.strerror or error)
        return {}
    # Only the first two fields are split off, since the name at the end may contain a bar.
    fields = [[field.strip() for field in line.split("|")[:2]] for line in lines if not line.startswith(";")]
    return {speaker: sex[0] for speaker, *sex in fields if sex and sex[0] in ("F", "M")}
