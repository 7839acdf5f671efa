import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
import soundfile

from benchmarks import readable
from common.corpora import manifest
from common.data import shards


@pytest.fixture
def folder(tmp_path, rng):
    """A little of everything that a run leaves."""
    work = tmp_path / "work"
    soundfile_path = tmp_path / "clip.wav"
    soundfile.write(soundfile_path, rng.normal(0, 0.1, 4000), 8000)
    shards.prepare(manifest.from_rows([{"path": soundfile_path, "duration": 0.5, "split": "train"}]), work, 8000)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save(work / "model.keras")
    np.savez(work / "state.npz", a=np.arange(1000))
    pd.DataFrame({"loss": [1.0, 0.5], "examples_per_second": [10.0, 11.0]}).to_csv(work / "history.csv", index=False)
    (work / "metrics.json").write_text(json.dumps({"accuracy": 0.5}))
    soundfile.write(work / "example.flac", rng.normal(0, 0.1, 8000), 8000)
    return work


def faults(folder):
    return [fault for path in readable.stamps(folder) if (fault := readable.fault(path))]


def test_what_is_whole_has_no_faults(folder):
    assert len(readable.stamps(folder)) == 7
    assert faults(folder) == []
    assert readable.leftovers(folder) == []


@pytest.mark.parametrize(
    "pattern", ["*/*.tfrecord", "*/shard-*.json", "*.keras", "*.npz", "*.csv", "metrics.json", "*.flac"]
)
def test_half_a_file_is_a_fault(folder, pattern):
    path = next(folder.glob(pattern))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 - 9])
    assert len(faults(folder)) >= (pattern != "*.csv")


def test_only_what_differs_is_told(folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    history = pd.read_csv(other / "history.csv").assign(examples_per_second=99.0)
    history.to_csv(other / "history.csv", index=False)
    assert readable.differences(folder, other) == []
    history.assign(loss=[1.0, 0.5000001]).to_csv(other / "history.csv", index=False)
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(other / "model.keras")
    (other / "metrics.json").unlink()
    (other / ".half.json").touch()
    told = "\n".join(readable.differences(folder, other))
    assert len(told.splitlines()) == 4
    for name in ("history.csv", "model.keras", "metrics.json", ".half.json"):
        assert name in told
