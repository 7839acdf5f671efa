"""Download an archive, check it and unpack it: downloads resume, and malicious archives are rejected."""

import functools
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import pooch
import requests
from tqdm import tqdm

from common.errors import UserError
from common.log import logger

MAX_FILES = 2_000_000
MAX_BYTES = 100 * 2**30

_ATTEMPTS = 5
_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 2**16


def fetch(url: str, root: str | Path, sha256: str, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES) -> Path:
    """Fill `root` with the contents of an archive, unless it already has contents.

    Temporary files are in the sibling folder `<root>.download`; `root` appears by a single rename at the end. After an
    interruption, the same call resumes: a partial download is continued, a complete one is kept, and unpacking starts
    again.

    Args:
        url: The archive, tar (with any compression) or zip, by HTTP or HTTPS.
        root: The folder to fill.
        sha256: The checksum of the archive, in hexadecimal.
        max_files: Largest number of files in the archive.
        max_bytes: Largest total size of the files in bytes.

    Returns:
        The folder.

    Raises:
        UserError: The server cannot be reached, returns an error, or interrupts the download repeatedly.
        UserError: The checksum differs.
        UserError: The archive is damaged, is rejected by `unpack`, or exceeds the limits.
        UserError: The disk is full or not writable.
    """
    root = Path(root).absolute()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        logger.info("%s is not empty and is used unchanged; nothing is downloaded", root)
        return root
    workplace = root.with_name(f"{root.name}.download")
    try:
        workplace.mkdir(parents=True, exist_ok=True)
        archive = _download(url, workplace, sha256)
        unpacked = workplace / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        unpack(archive, unpacked, max_files, max_bytes)
        if root.is_dir():
            root.rmdir()
        unpacked.rename(root)
    except OSError as error:
        raise UserError(
            f"cannot download into {root}: {error.strerror or error}; check the folder and the free space"
        ) from error
    shutil.rmtree(workplace, ignore_errors=True)
    return root


def unpack(archive: str | Path, folder: str | Path, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES) -> None:
    """Unpack an archive of regular files and folders; reject any other contents.

    Rejected are absolute names, names with `..`, links, devices and pipes, and more files or bytes than the limits or
    the free disk space allow. Owners, permissions and times in the archive are ignored. After an error, the target
    folder is removed.

    Args:
        archive: A tar (with any compression) or zip file.
        folder: The target folder; created if missing.
        max_files: Largest number of files, including folders.
        max_bytes: Largest total size in bytes.

    Raises:
        UserError: The archive is rejected or damaged.
    """
    archive, folder = Path(archive), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(folder).free
    num_bytes = 0
    try:
        for count, member in enumerate(tqdm(_members(archive), desc="unpacking", unit=" files", disable=None), start=1):
            num_bytes += member.num_bytes
            if count > max_files or num_bytes > max_bytes:
                raise UserError(
                    f"{archive} has more than {max_files} files or {max_bytes} bytes; expected fewer: do not trust it"
                )
            if num_bytes > free_bytes:
                raise UserError(
                    f"{archive} needs more than the {free_bytes} bytes that are free at {folder}; free some space"
                )
            path = folder / _safe_name(archive, member.name)
            if member.is_folder:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, UserError) or not isinstance(error, Exception):
            raise
        if isinstance(error, OSError) and error.filename is not None:
            raise UserError(
                f"cannot unpack {archive} to {error.filename}: {error.strerror or error}; check the folder and the free"
                " space, or delete the archive and download again"
            ) from error
        # Each archive and compression format has its own exceptions; some are an OSError without a file name.
        raise UserError(f"{archive} is damaged ({error}); delete it and download again") from error


class _Member(NamedTuple):
    """A file or folder in an archive."""

    name: str
    num_bytes: int
    is_folder: bool
    open: Callable[[], BinaryIO]


def _members(archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as contents:
            for entry in contents.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _refused(archive, entry.filename, "a link or a device")
                yield _Member(entry.filename, entry.file_size, entry.is_dir(), lambda entry=entry: contents.open(entry))
    else:
        with tarfile.open(archive) as contents:
            for entry in contents:
                if not entry.isreg() and not entry.isdir():
                    raise _refused(archive, entry.name, "a link or a device")
                yield _Member(entry.name, entry.size, entry.isdir(), lambda entry=entry: contents.extractfile(entry))


def _safe_name(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise _refused(archive, name, "a path outside the folder")
    return path


def _refused(archive: Path, name: str, reason: str) -> UserError:
    return UserError(
        f'{archive} contains "{name}", {reason}; expected plain files and folders: do not trust this archive'
    )


def _download(url: str, workplace: Path, sha256: str) -> Path:
    pooch.get_logger().setLevel("WARNING")
    # Named after its checksum, so that partial downloads of different versions are not mixed.
    name = f"{sha256[:16]}.archive"
    try:
        downloader = functools.partial(_resume, part=workplace / f"{name}.part")
        return Path(pooch.retrieve(url, f"sha256:{sha256}", name, workplace, downloader=downloader))
    except requests.RequestException as error:
        raise UserError(f"cannot download {url}: {error}; check the connection and run the command again") from error
    except ValueError as error:
        raise UserError(
            f"the SHA-256 of {url} differs from the expected {sha256}; the file was removed: run the command again; "
            "if the error persists, the address or the checksum is wrong"
        ) from error


def _resume(url: str, output_file: str, retriever: object, part: Path) -> None:
    """Downloader for pooch that continues a partial download; pooch itself always starts again."""
    for attempt in range(_ATTEMPTS):
        try:
            _continue_part(url, part)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            if attempt + 1 == _ATTEMPTS:
                raise
            logger.warning("download interrupted (%s); resuming", type(error).__name__)
        else:
            os.replace(part, output_file)
            return


def _continue_part(url: str, part: Path) -> None:
    have_bytes = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have_bytes}-"} if have_bytes else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if response.headers.get("Content-Range", "") == f"bytes */{have_bytes}":
                return
            part.unlink()
            raise requests.ConnectionError("the partial download is longer than the file")
        response.raise_for_status()
        # A server without range support sends the whole file with status 200. A wrong offset cannot be appended either.
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have_bytes}-"):
            have_bytes = 0
        total_bytes = have_bytes + int(response.headers.get("Content-Length", 0))
        free_bytes = shutil.disk_usage(part.parent).free
        if total_bytes - have_bytes > free_bytes:
            raise UserError(
                f"{url} needs {total_bytes - have_bytes} bytes, but {free_bytes} are free at {part.parent}; free some"
                " space"
            )
        with (
            part.open("ab" if have_bytes else "wb") as file,
            tqdm(
                total=total_bytes or None,
                initial=have_bytes,
                desc="downloading",
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                disable=None,
            ) as progress,
        ):
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                progress.update(len(chunk))
    if total_bytes and part.stat().st_size < total_bytes:
        raise requests.ConnectionError(f"the server sent {part.stat().st_size} of {total_bytes} bytes")
