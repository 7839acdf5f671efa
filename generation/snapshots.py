"""Snapshots of the averaged generator after each monitored epoch: `snapshots/epoch_0010.npz` in the run directory."""

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
    """List the epochs that have a snapshot."""
    return sorted(int(path.stem.removeprefix("epoch_")) for path in Path(folder).glob("snapshots/epoch_*.npz"))


def save(network: "keras.Model", folder: str | Path, epoch: int) -> None:
    """Save the weights of a network as the snapshot of an epoch."""
    with files.atomic_path(_path(folder, epoch)) as temporary:
        np.savez(temporary, *network.get_weights())


def check(folder: str | Path, epoch: int) -> None:
    """Check that an epoch has a snapshot.

    Raises:
        UserError: There is no snapshot of that epoch.
    """
    if not _path(folder, epoch).exists():
        found = ", ".join(map(str, epochs(folder))) or "none"
        raise UserError(f"epoch: no snapshot of epoch {epoch}, expected one of the saved epochs: {found}")


def load(network: "keras.Model", folder: str | Path, epoch: int) -> None:
    """Load the snapshot of an epoch into a network.

    Raises:
        UserError: There is no snapshot of that epoch, or it is damaged.
    """
    check(folder, epoch)
    path = _path(folder, epoch)
    try:
        network.set_weights(list(arrays.read(path).values()))
    except (ValueError, TypeError) as error:
        raise UserError(f"cannot read {path}: {error}; choose another epoch") from error
