"""What a corpus held when a run began, small enough to keep: a run that goes on says what has changed since."""

import collections
import hashlib
import os
from pathlib import Path

import pandas as pd

_MOST_TOLD = 3


def take(manifest: pd.DataFrame) -> dict:
    """Return the fingerprint of a corpus, as JSON holds it.

    Where the corpus lies and when its files were made plays no part.

    Args:
        manifest: A row a recording; see `common.corpora.manifest`.

    Returns:
        `recordings`, the number of rows by split and label, and `digest` of the names of all files and their sizes.
    """
    counts: dict[str, dict[str, int]] = {}
    for (split, label), rows in manifest.groupby(["split", "label"], sort=True):
        counts.setdefault(split, {})[label] = len(rows)
    paths = sorted(set(manifest["path"]))
    root = os.path.commonpath(paths) if paths else ""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(os.fsencode(f"{os.path.relpath(path, root)}\0{_size(path)}\0"))
    return {"recordings": counts, "digest": digest.hexdigest()[:16]}


def difference(earlier: object, now: dict) -> str:
    """Say what has changed between two fingerprints; nothing if they are alike, or the earlier one is damaged.

    Example:
        >>> difference({"recordings": {"train": {"yes": 3}}, "digest": "a"}, {"recordings": {"train": {"yes": 5}}, "digest": "b"})
        'train yes 3, now 5'
    """
    try:
        if earlier["digest"] == now["digest"] and earlier["recordings"] == now["recordings"]:
            return ""
        ours, theirs = (
            collections.Counter({(split, label): int(count) for split in one for label, count in one[split].items()})
            for one in (earlier["recordings"], now["recordings"])
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""
    changed = sorted(key for key in ours | theirs if ours[key] != theirs[key])
    told = [f"{' '.join(filter(None, key))} {ours[key]}, now {theirs[key]}" for key in changed[:_MOST_TOLD]]
    if len(changed) > _MOST_TOLD:
        told.append(f"and {len(changed) - _MOST_TOLD} more")
    return "; ".join(told) or "as many recordings, but other files or sizes"


def _size(path: str | Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
