"""A small fingerprint of a corpus, stored with a run: a resumed run reports what has changed since it started."""

import collections
import hashlib
import os
from pathlib import Path

import pandas as pd

_MAX_SHOWN = 3


def take(manifest: pd.DataFrame) -> dict:
    """Return the fingerprint of a corpus as a JSON-serializable dictionary.

    It depends neither on the location of the corpus nor on the file times.

    Args:
        manifest: One row per recording; see `common.corpora.manifest`.

    Returns:
        `recordings`, the number of rows by split and label, and `digest`, a hash of all file names and sizes.
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
    """Describe the changes between two fingerprints; empty if they are equal or the earlier one is damaged.

    Example:
        >>> earlier = {"recordings": {"train": {"yes": 3}}, "digest": "a"}
        >>> difference(earlier, {"recordings": {"train": {"yes": 5}}, "digest": "b"})
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
    shown = [f"{' '.join(filter(None, key))} {ours[key]}, now {theirs[key]}" for key in changed[:_MAX_SHOWN]]
    if len(changed) > _MAX_SHOWN:
        shown.append(f"and {len(changed) - _MAX_SHOWN} more")
    return "; ".join(shown) or "same number of recordings, but different files or sizes"


def _size(path: str | Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
