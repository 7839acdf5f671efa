"""The training of a separator: corpus, network, weights, metrics.

The four tasks have `train_run` alike on purpose, in the same order, to be read from top to bottom; what is the same logic is shared.
"""

import dataclasses
import functools
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from common import audio, runs
from common.corpora import manifest
from common.reporting import plots
from common.training import loop, optimizers, precision
from common.training.options import Options
from separation import data, evaluation
from separation.callbacks import SeparationPanels, compare
from separation.config import TASK, Config
from separation.models import build_model, compile_model, for_inference

_EXAMPLE_SECONDS = 30.0


def train_run(
    config: Config,
    folder: str | Path,
    variant: str,
    options: Options,
) -> tuple[runs.Run, bool]:
    """Train one run and evaluate it on the test tracks; a complete one is left as it is.

    Args:
        config: What to train.
        folder: The run directory.
        variant: The variant that the configuration started from.
        options: How to train.

    Returns:
        The run, complete, and whether anything was left to do.

    Raises:
        UserError: The tracks, the configuration or the folder cannot be used.
    """
    loop.prepare(config)
    runs.check_folder(folder)
    corpus = data.load_corpus(config, options.shards_dir, download=options.download)
    splits = {split: data.prepare_split(corpus, split) for split in manifest.SPLITS}
    config = precision.resolve(corpus.config, folder, TASK, compiled_model, data.build_dataset, splits, options)
    if not Path(folder).exists():
        # What cannot be built is refused before anything is written.
        build_model(config)
    run = runs.start(folder, config, TASK, variant, options.resume, corpus.manifest)
    if run.complete:
        return run, False
    runs.write_rejected(run, [split.bank.rejected for split in splits.values()])
    loop.prepare(config)

    model = fit(run, splits, options)
    corpus = dataclasses.replace(corpus, config=config)
    figures, table = evaluation.evaluate_split(model, corpus, "test", train_groups=data.groups_of(corpus, "train"))
    figures |= {
        f"window_{name}": value
        for name, value in model.evaluate(
            data.build_dataset(config, splits["test"]), verbose=0, return_dict=True
        ).items()
    }
    pictures = evaluation.save_plots(figures, table, run.folder / "test")
    pictures.append(write_example(model, corpus, run.folder / "example"))
    history = plots.history(pd.DataFrame(run.history), ("loss", "sdr"), str(run.folder))
    loop.conclude(
        run, figures, pictures, history, {f"test_sdr_{stem}": value for stem, value in figures["sdr"].items()}
    )
    return run, True


def compiled_model(config: Config, split: data.Split) -> keras.Model:
    """Build the network, ready to fit the training split."""
    steps = data.steps_per_epoch(config, split)
    model = build_model(config)
    compile_model(model, config, optimizers.build_optimizer(config, steps), optimizers.steps_per_execution(steps))
    return model


def fit(run: runs.Run, splits: dict[str, data.Split], options: Options) -> keras.Model:
    """Build the network and train it; returns it with the weights that are kept."""
    config = run.config
    steps = data.steps_per_epoch(config, splits["train"])
    model = compiled_model(config, splits["train"])
    channels = "stereo" if config.num_channels == 2 else "mono"
    facts = f"{model.count_params():,} parameters", f"{', '.join(config.stems)} at {config.sample_rate} Hz, {channels}"
    loop.announce(config.model, *facts, *map(data.describe, splits.values()))

    def train(first_step: int, num_batches: int | None = None) -> tf.data.Dataset:
        return data.build_dataset(
            config, splits["train"], training=True, initial_step=first_step, num_batches=num_batches
        )

    validation = data.build_dataset(config, splits["validation"])
    panels = SeparationPanels(run.folder / "tensorboard", config, validation)
    batch_files = functools.partial(data.batch_files, config, splits["train"])
    setup = loop.Setup(model, train, validation, steps, "val_sdr", callbacks=(panels,), batch_files=batch_files)
    loop.fit(run, setup, options)
    return model


def write_example(model: keras.Model, corpus: data.Corpus, folder: Path) -> Path:
    """Separate the beginning of a test track into the run directory, to listen to; returns a picture of it."""
    config = corpus.config
    _, mixture, stems = next(data.read_tracks(corpus, "test"))
    num_samples = round(_EXAMPLE_SECONDS * config.sample_rate)
    mixture, stems = mixture[:num_samples], stems[:, :num_samples]
    estimates = for_inference(model, config).separate(mixture).waveforms
    for name, waveform in {"mixture": mixture, **dict(zip(config.stems, estimates, strict=True))}.items():
        audio.write(folder / f"{name}.wav", np.clip(waveform, -1, 1), config.sample_rate)
    picture = folder / "example_spectrograms.png"
    plots.save(compare(config, mixture, stems, estimates), picture)
    return picture
