"""The averaged generator after each epoch that was looked at, in the run directory: `snapshots/epoch_0010.npz`."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common import files
from common.errors import UserError
from common.files import arrays

if TYPE_CHECKING:
    import keras


def _path(folder: str | Path, epoch: int) -> Path:
    return Path(folder) / "snapshots" / f"epoch_{epoch:04d}.npz"


def epochs(folder: str | Path) -> list[int]:
    """List the epochs of a run whose generators are there."""
    return sorted(int(path.stem.removeprefix("epoch_")) for path in Path(folder).glob("snapshots/epoch_*.npz"))


def save(network: "keras.Model", folder: str | Path, epoch: int) -> None:
    """Keep a network's weights."""
    with files.atomic_path(_path(folder, epoch)) as temporary:
        np.savez(temporary, *network.get_weights())


def check(folder: str | Path, epoch: int) -> None:
    """Refuse an epoch that no snapshot was taken after.

    Raises:
        UserError: Says which there are.
    """
    if not _path(folder, epoch).exists():
        found = ", ".join(map(str, epochs(folder))) or "none"
        raise UserError(f"epoch: there is no snapshot of epoch {epoch}, only of {found}")


def load(network: "keras.Model", folder: str | Path, epoch: int) -> None:
    """Put the weights of an earlier epoch into a network.

    Raises:
        UserError: No snapshot was taken after that epoch, or it is damaged.
    """
    check(folder, epoch)
    path = _path(folder, epoch)
    try:
        network.set_weights(list(arrays.read(path).values()))
    except (ValueError, TypeError) as error:
        raise UserError(f"cannot read {path}: {error}; choose another epoch") from error
