"""Check that the files of a run can be read completely, and that two runs have equal files."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import matplotlib.image

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import numpy as np
import pandas as pd
import soundfile
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from common.cli import outputs

_WRITTEN_AT_ANY_TIME = ("examples_per_second",)


def stamps(folder: Path) -> dict[Path, int]:
    """List the files below a folder that have their final names, with their modification times.

    A SavedModel counts as one file. Temporary files have hidden names and do not count.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") or part == "saved_model" for part in inside.parts[:-1]):
            continue
        if not path.name.startswith(".") and (path.is_file() or path.name == "saved_model"):
            found[path] = path.stat().st_mtime_ns
    return found


def leftovers(folder: Path) -> list[Path]:
    """List the temporary files below a folder, including those of killed processes."""
    return [path for path in folder.rglob(".*") if path.name != outputs.LEDGER]


def fault(path: Path) -> str:
    """Read a file or a SavedModel completely; return the problem, or nothing if there is none."""
    try:
        if path.name == "saved_model":
            tf.saved_model.load(str(path))
        elif path.name.startswith("events.out.tfevents"):
            EventAccumulator(str(path)).Reload()
        elif path.suffix == ".keras":
            list(_weights(path))
        elif path.suffix in _READERS:
            _READERS[path.suffix](path)
    except Exception as error:
        return f"{path}: {type(error).__name__}: {error}"
    return ""


def _read_json(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    if path.name.startswith("shard-"):
        # If the report exists, the shard is complete.
        records = sum(1 for _ in tf.data.TFRecordDataset(str(path.with_suffix(".tfrecord"))))
        if records != len(content["rows"]):
            raise ValueError(f"the shard has {records} records, its report lists {len(content['rows'])}")
    if "num_samples" in content and path.parent.name == "tracks":
        size = path.with_suffix(".pcm").stat().st_size
        if not content["num_samples"] or size % (2 * content["num_samples"]):
            raise ValueError(f"the track has {size} bytes for {content['num_samples']} samples")


def _read_arrays(path: Path) -> None:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        dict(archive)


_READERS = {
    ".json": _read_json,
    ".npz": _read_arrays,
    ".csv": pd.read_csv,
    ".png": matplotlib.image.imread,
    ".wav": soundfile.read,
    ".flac": soundfile.read,
    ".tflite": lambda path: Interpreter(model_path=str(path)).allocate_tensors(),
}


def _weights(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".json"):
                json.loads(content)
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            names: list[str] = []
            weights.visit(names.append)
            for name in names:
                if isinstance(weights[name], h5py.Dataset):
                    yield name, weights[name][()]


def differences(expected: Path, received: Path) -> list[str]:
    """Compare the files of two runs of the same commands bit by bit; return the differences.

    Training speed, output, plots, TensorBoard files, and exports (which contain times) are ignored.
    """
    found = []
    for path in stamps(expected):
        name = path.relative_to(expected)
        other = received / name
        if not other.exists():
            if not path.name.startswith("events.out.tfevents"):
                found.append(f"{other} is missing")
        elif path.suffix == ".keras":
            ours, theirs = dict(_weights(path)), dict(_weights(other))
            if list(ours) != list(theirs) or any(ours[key].tobytes() != theirs[key].tobytes() for key in ours):
                found.append(f"{other}: the weights differ from {path}")
        elif path.name == "history.csv":
            ours, theirs = (pd.read_csv(one).drop(columns=list(_WRITTEN_AT_ANY_TIME)) for one in (path, other))
            if not ours.equals(theirs):
                found.append(f"{other}: the history differs from {path}")
        elif (
            path.suffix in (".json", ".csv", ".wav", ".out", ".npz")
            and "export" not in name.parts
            and name.name != "train.out"
            and path.read_bytes() != other.read_bytes()
        ):
            found.append(f"{other}: the content differs from {path}")
    found += [f"{path} is a leftover" for path in leftovers(received)]
    return found
