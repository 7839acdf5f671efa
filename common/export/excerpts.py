"""Test excerpts that a training keeps in the run, so that exports are checked without the corpus."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from common import audio, files
from common.errors import UserError
from common.files import arrays

FILE = "excerpts.npz"
_NAME = "pcm"


def save(run_dir: str | Path, waveforms: np.ndarray) -> None:
    """Write excerpts into a run as 16-bit PCM.

    Args:
        run_dir: The run directory.
        waveforms: Float32, shape `(excerpts, …)`; samples beyond full scale are clipped.
    """
    with files.atomic_path(Path(run_dir) / FILE) as temporary:
        np.savez(temporary, **{_NAME: audio.to_pcm16(waveforms)})


def load(run_dir: str | Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Read the excerpts of a run.

    Args:
        run_dir: The run directory.
        shape: The expected shape of one excerpt.

    Returns:
        Float32, shape `(excerpts, *shape)`; None for a run of an earlier version, which has none.

    Raises:
        UserError: The file is damaged.
    """
    path = Path(run_dir) / FILE
    if not path.exists():
        return None
    try:
        pcm = arrays.read(path)[_NAME]
        if pcm.dtype != np.int16 or not len(pcm) or pcm.shape[1:] != shape:
            raise ValueError(f"it contains {pcm.dtype} of shape {pcm.shape}; expected int16 excerpts of shape {shape}")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"cannot read {path}: {error}; delete it, then the export reads the corpus") from error
    return audio.from_pcm16(pcm)


def choose(
    run_dir: str | Path,
    shape: tuple[int, ...],
    read: Callable[[], np.ndarray],
    *,
    corpus: str | None,
    data_dir: str | None,
    split: str,
) -> tuple[np.ndarray, str]:
    """Return the excerpts of the run, or those of a corpus if one is named or the run has none.

    Args:
        run_dir: The run directory.
        shape: The expected shape of one excerpt.
        read: Reads excerpts from the corpus.
        corpus: Name of the corpus to read; None if none is named.
        data_dir: Folder of the corpus to read; None if none is named.
        split: Split to read. The run has excerpts of the test split.

    Returns:
        The excerpts, float32, shape `(excerpts, *shape)`, and where they are from: `run` or `corpus`.

    Raises:
        UserError: The excerpts of the run are damaged, or the corpus cannot be read.
    """
    kept = load(run_dir, shape) if (corpus, data_dir, split) == (None, None, "test") else None
    return (read(), "corpus") if kept is None else (kept, "run")
