"""The folders of several corpora in one value: `--data_dir=A,B`."""

import itertools
import os
from collections.abc import Sequence

from common import config as configs
from common.errors import UserError


def folders_of(data_dir: str, names: Sequence[str]) -> list[str]:
    """Return the folder of each corpus. A comma in `--data_dir` separates folders, or is part of a folder name.

    Args:
        data_dir: The folders, separated by commas; empty for the default folders.
        names: The corpora.

    Raises:
        UserError: The numbers of folders and corpora differ.
    """
    if not data_dir or len(names) == 1:
        return [data_dir] * len(names)
    parts = data_dir.split(",")
    groupings = [
        [",".join(parts[first:last]) for first, last in itertools.pairwise((0, *bounds, len(parts)))]
        for bounds in itertools.combinations(range(1, len(parts)), len(names) - 1)
    ]
    for folders in groupings:
        folders = [configs.expanded(folder) for folder in folders]
        # The folder of a synthetic corpus need not exist: it is generated.
        if all(
            name == "synthetic" or not folder or os.path.isdir(folder)
            for name, folder in zip(names, folders, strict=True)
        ):
            return folders
    if len(parts) != len(names):
        raise UserError(f"--data_dir: expected {len(names)} folders, one per corpus, got {len(parts)}")
    return [configs.expanded(part) for part in parts]


def absolute(data_dir: str, names: Sequence[str]) -> str:
    """Return `--data_dir` with every folder as an absolute path; a wrong number of folders is left to `folders_of`.

    Example:
        >>> absolute("/words/,/more", ["folder", "speech_commands"])
        '/words,/more'
    """
    try:
        return ",".join(map(configs.absolute, folders_of(data_dir, names))) if data_dir else ""
    except UserError:
        return data_dir
