"""Train a separator: load the corpus, build and fit the model, and evaluate it.

`train_run` has the same steps in the same order in all four tasks, on purpose. Shared logic is in `common`.
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
from common.export import excerpts
from common.reporting import plots
from common.training import loop, optimizers, precision
from common.training.options import Options
from separation import data, evaluation
from separation.callbacks import SeparationPanels, compare
from separation.config import TASK, VARIANTS, Config
from separation.models import build_model, compile_model, for_inference

_EXAMPLE_SECONDS = 30.0


def train_run(
    config: Config,
    folder: str | Path,
    variant: str,
    options: Options,
) -> tuple[runs.Run, bool]:
    """Train one run and evaluate it on the test tracks; a complete run is not trained again.

    Args:
        config: The configuration.
        folder: The run directory.
        variant: The name of the variant that `config` is based on.
        options: Training options.

    Returns:
        The complete run, and whether any work was done.

    Raises:
        UserError: The tracks, the configuration or the folder cannot be used.
    """
    loop.prepare(config)
    runs.check_folder(folder)
    corpus = data.load_corpus(config, options.shards_dir, download=options.download)
    splits = {split: data.prepare_split(corpus, split) for split in manifest.SPLITS}
    config = precision.resolve(corpus.config, folder, TASK, compiled_model, data.build_dataset, splits, options)
    if not Path(folder).exists():
        # Fail before anything is written if the model cannot be built.
        build_model(config)
    run = runs.start(folder, config, TASK, variant, options.resume, corpus.manifest)
    if run.complete:
        return run, False
    runs.write_rejected(run, [split.bank.rejected for split in splits.values()])
    loop.prepare(config)

    model = fit(run, splits, options)
    corpus = dataclasses.replace(corpus, config=config)
    results, table = evaluation.evaluate_split(model, corpus, "test", train_groups=data.groups_of(corpus, "train"))
    results |= {
        f"window_{name}": value
        for name, value in model.evaluate(
            data.build_dataset(config, splits["test"]), verbose=0, return_dict=True
        ).items()
    }
    images = evaluation.save_plots(results, table, run.folder / "test")
    excerpts.save(run.folder, data.export_excerpts(config, splits["test"]))
    images.append(write_example(model, corpus, run.folder / "example"))
    history = plots.history(pd.DataFrame(run.history), ("loss", "sdr"), str(run.folder))
    compared = {f"sdr_{stem}": value for stem, value in results["sdr"].items()}
    loop.conclude(run, (variant, VARIANTS[variant]), results, images, history, compared)
    return run, True


def compiled_model(config: Config, split: data.Split) -> keras.Model:
    """Build and compile the model for a training split."""
    steps = data.steps_per_epoch(config, split)
    model = build_model(config)
    compile_model(model, config, optimizers.build_optimizer(config, steps), optimizers.steps_per_execution(steps))
    return model


def fit(run: runs.Run, splits: dict[str, data.Split], options: Options) -> keras.Model:
    """Build and train the model; returns it with the final weights."""
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
    panels = SeparationPanels(
        run.folder / "tensorboard", config, validation, data.window_names(config, splits["validation"])
    )
    batch_files = functools.partial(data.batch_files, config, splits["train"])
    setup = loop.Setup(model, train, validation, steps, "val_sdr", callbacks=(panels,), batch_files=batch_files)
    loop.fit(run, setup, options)
    return model


def write_example(model: keras.Model, corpus: data.Corpus, folder: Path) -> Path:
    """Separate the beginning of a test track, and write the audio and a plot to `folder`; returns the plot's path."""
    config = corpus.config
    _, mixture, stems = next(data.read_tracks(corpus, "test"))
    num_samples = round(_EXAMPLE_SECONDS * config.sample_rate)
    mixture, stems = mixture[:num_samples], stems[:, :num_samples]
    estimates = for_inference(model, config).separate(mixture).waveforms
    for name, waveform in {"mixture": mixture, **dict(zip(config.stems, estimates, strict=True))}.items():
        audio.write(folder / f"{name}.wav", np.clip(waveform, -1, 1), config.sample_rate)
    path = folder / "example_spectrograms.png"
    plots.save(compare(config, mixture, stems, estimates), path)
    return path
