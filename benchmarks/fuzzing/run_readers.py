"""What the toolkit itself has stored, and how it is read again: configurations, runs, weights, decoded recordings."""

import contextlib
import dataclasses
import functools
import importlib
import io
from pathlib import Path

import numpy as np

from benchmarks.fuzzing import seeds
from benchmarks.fuzzing.mutations import Input

TASKS = ("kws", "separation", "generation", "counting")
_RATE = 8000
# Shards and tracks are found by a hash of where the recordings lie; of those that are missing it is always the same.
_MISSING = ("missing/0.wav", "missing/1.wav", "missing/2.wav")
_STEMS = ("vocals", "accompaniment")
# What a training takes from its corpus.
_OF_THE_CORPUS = {
    "kws": {"words": ("yes", "no")},
    "separation": {"stems": _STEMS, "sample_rate": _RATE, "num_channels": 1},
}


def _task(name: str):
    module = importlib.import_module(f"{name}.config")
    return module.Config, module.VARIANTS


def configs(folder: Path) -> list[Input]:
    """Return the configurations of every variant of every task."""
    from common import config

    found = []
    for task in TASKS:
        for variant, values in _task(task)[1].items():
            config.save(values, task, variant, folder / "config.json")
            found.append({f"{task}.json": (folder / "config.json").read_bytes()})
    return found


def read_config(folder: Path) -> None:
    """Read a configuration."""
    from common import config

    (path,) = folder.iterdir()
    config.load(_task(path.stem)[0], path.stem, path)


def figures(folder: Path) -> list[Input]:
    """Return the figures that a training leaves."""
    from kws import acceptance

    history = "epoch,loss,val_accuracy,examples_per_second\n1,2.5,0.3,1000.5\n2,1.5,0.6,1001\n"
    metrics = {"metrics.json": b'{"accuracy": 0.5, "accuracy_interval": [0.4, 0.6], "num_examples": 100}'}
    return [metrics, {"history.csv": history.encode()}, {acceptance.FILE: b'{"threshold": 0.7, "kept": 0.95}'}]


def read_figures(folder: Path) -> None:
    """Read the figures."""
    from common import runs
    from common.config import TrainingConfig
    from kws import acceptance

    if (folder / "metrics.json").exists():
        runs.read_metrics(runs.Run(folder, TrainingConfig()))
    if (folder / "history.csv").exists():
        runs.read_history(folder)
    acceptance.operating_point(folder)


def export_excerpts(folder: Path) -> list[Input]:
    """Return the excerpts that a training keeps for its export."""
    from common.export import excerpts

    excerpts.save(folder, np.linspace(-1, 1, 4 * 800).reshape(4, 800))
    return [{excerpts.FILE: (folder / excerpts.FILE).read_bytes()}]


def read_excerpts(folder: Path) -> None:
    """Read the excerpts."""
    from common.export import excerpts

    excerpts.load(folder, (800,))


def _manifest(paths: tuple[str, ...] | list[Path], **columns):
    from common.corpora import manifest

    return manifest.from_rows(
        {"path": path, "split": "train", "speaker": f"s{number}", "sex": "F", **columns}
        for number, path in enumerate(paths)
    )


def _recordings(folder: Path) -> list[Path]:
    paths = [folder / Path(name).name for name in _MISSING]
    for path in paths:
        path.write_bytes(seeds.recording())
    return paths


def track_banks(folder: Path) -> list[Input]:
    """Return tracks that were decoded."""
    from common.data import track_bank
    from common.errors import UserError

    # As they are missing, only the names are found.
    with contextlib.suppress(UserError):
        track_bank.prepare(_tracks(), folder, _STEMS, _RATE, 1)
    bank = {}
    for path in sorted((folder / "tracks").glob("*.json")):
        bank[f"tracks/{path.name}"] = b'{"num_samples": 800, "reason": ""}'
        bank[f"tracks/{path.stem}.pcm"] = np.arange(800 * 2, dtype="<i2").tobytes()
    one_lost = {**bank, next(iter(bank)): b'{"num_samples": 0, "reason": "it is silent"}'}
    return [bank, one_lost]


def _tracks():
    from common.corpora import manifest

    rows = [{"path": path, "split": "train", "track": path, "stem": stem} for path in _MISSING for stem in _STEMS]
    return manifest.from_rows(rows)


def open_track_bank(folder: Path) -> None:
    """Open the tracks and read them."""
    from common.data import track_bank

    bank = track_bank.prepare(_tracks(), folder, _STEMS, _RATE, 1, max_rejected=0.5)
    sum(int(np.abs(pcm).sum(dtype=np.int64)) for pcm in bank.pcm)


def shard_folders(folder: Path) -> list[Input]:
    """Return recordings that were decoded."""
    from common.data import shards
    from common.errors import UserError

    made = shards.prepare(_manifest(_recordings(folder)), folder / "good", _RATE)
    with contextlib.suppress(UserError):
        shards.prepare(_manifest(_MISSING), folder / "missing", _RATE)
    (name,) = (path.name for path in (folder / "missing").iterdir())
    return [{f"{name}/{path.name}": path.read_bytes() for path in made.folder.iterdir()}]


def read_shards(folder: Path) -> None:
    """Read decoded recordings as an entry point does, one by one or in batches."""
    from common.cli import app
    from common.data import shards
    from common.errors import UserError

    def main(flag_values: object, arguments: list[str]) -> None:
        prepared = shards.prepare(_manifest(_MISSING), folder, _RATE, max_rejected=0.5)
        if arguments:
            for _ in shards.recordings(prepared):
                pass
        for _ in shards.read(prepared, 800, 2):
            pass

    for arguments in ([], ["one by one"]):
        captured = io.StringIO()
        with contextlib.redirect_stderr(captured):
            code = app.run(main, lambda flag_values: None, arguments)
        if code:
            raise UserError(captured.getvalue().splitlines()[-1])


def speech_banks(folder: Path) -> list[Input]:
    """Return speech that was decoded and can be read anywhere."""
    from common.data import shards, speech_bank

    bank = speech_bank.build(shards.prepare(_manifest(_recordings(folder)), folder / "good", _RATE))
    assert len(bank.pcm)
    made = next((folder / "good").iterdir())
    return [{f"shards/{path.name}": path.read_bytes() for path in made.iterdir()}]


def open_speech_bank(folder: Path) -> None:
    """Open the bank, and cut from it."""
    import pandas as pd

    from common.data import excerpts, shards, speech_bank

    paths = (str(folder / "shards" / "shard-00000.tfrecord"),)
    table = _manifest(_MISSING)
    prepared = shards.Shards(
        folder / "shards", paths, (len(table),), table, np.arange(len(table)), pd.DataFrame(), _RATE
    )
    bank = speech_bank.build(prepared)
    places = bank.places(400, 0.5)
    positions = np.concatenate([[-1], *places.values()]).astype(np.int64)
    excerpts.read(bank.tracks, excerpts.Places(np.minimum(positions, 0), positions), 400)
    bank.locate(bank.table["first"].to_numpy())


@functools.cache
def _model():
    """Return a small compiled network with everything that has state."""
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 1))
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv1D(4, 3, activation="relu")(inputs))
    hidden = keras.layers.Dropout(0.1)(keras.layers.Flatten()(hidden))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(hidden))
    model.compile("adam", "categorical_crossentropy")
    return model


def backups(folder: Path) -> list[Input]:
    """Return a run that was interrupted."""
    from common import runs
    from common.files import locks

    run = runs.start(folder, _training(), "kws", "default")
    run.history, run.best = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}], 0.5
    runs.save_state(run, _model())
    locks.release_all()
    names = ("config.json", "backup/state.npz", "history.csv")
    return [{name: (folder / name).read_bytes() for name in names}]


def _training():
    from common.config import TrainingConfig

    return TrainingConfig(epochs=4)


def restore(folder: Path) -> None:
    """Go on with a run."""
    from common import runs
    from common.files import locks

    try:
        run = runs.start(folder, _training(), "kws", "default")
        runs.restore_state(run, _model())
        # What training does with them.
        sum(run.best > 0 for _ in range(run.epoch))
        runs.save_state(run, _model())
    finally:
        # It lies beside the run, as long as the process lives.
        locks.release_all()


def weights(folder: Path) -> list[Input]:
    """Return the weights that training keeps."""
    _model().save(folder / "model.keras")
    return [{"model.keras": (folder / "model.keras").read_bytes()}]


def load_weights(folder: Path) -> None:
    """Load weights."""
    from common import runs

    runs.load_weights(_model(), folder)


@functools.cache
def _gan():
    from generation import models

    return models.build_model(_task("generation")[1]["tiny"])


def snapshots(folder: Path) -> list[Input]:
    """Return an earlier generator."""
    np.savez(folder / "weights.npz", *_gan().average.get_weights())
    return [{"snapshots/epoch_0003.npz": (folder / "weights.npz").read_bytes()}]


def load_snapshot(folder: Path) -> None:
    """Go back to an earlier generator."""
    from generation import snapshots

    snapshots.load(_gan().average, folder, 3)


def run_folders(folder: Path) -> list[Input]:
    """Return a run of every task."""
    from common import config

    found = []
    for task in TASKS:
        values = dataclasses.replace(_task(task)[1]["tiny"], **_OF_THE_CORPUS.get(task, {}))
        model = importlib.import_module(f"{task}.models").build_model(values)
        model.save(folder / "model.keras")
        config.save(values, task, "tiny", folder / "config.json")
        found.append({f"{task}/{name}": (folder / name).read_bytes() for name in ("config.json", "model.keras")})
    return found


def load_run(folder: Path) -> None:
    """Rebuild the network of a run."""
    import keras

    (run_dir,) = folder.iterdir()
    keras.backend.clear_session()
    importlib.import_module(f"{run_dir.name}.models").load_model(run_dir)
