"""Training of a speaker counter: corpus, network, weights, metrics.

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
from common.encoders import classifier, litert_embedding
from common.export import excerpts
from common.reporting import plots, tensorboard
from common.training import loop, optimizers, precision
from common.training.options import Options
from counting import data, evaluation
from counting.config import TASK, VARIANTS, Config
from counting.models import build_model, compile_model


def train_run(
    config: Config,
    folder: str | Path,
    variant: str,
    options: Options,
) -> tuple[runs.Run, bool]:
    """Train one run and evaluate it on the test split; a complete run is not changed.

    Args:
        config: The configuration.
        folder: The run directory.
        variant: Name of the variant that the configuration is based on.
        options: Training options.

    Returns:
        The complete run, and whether it was trained now (False if it was complete already).

    Raises:
        UserError: The recordings, the configuration or the folder cannot be used.
    """
    loop.prepare(config)
    runs.check_folder(folder)
    corpus = data.load_corpus(config, options.shards_dir, download=options.download)
    splits = {split: data.prepare_split(corpus, split) for split in manifest.SPLITS}
    for name, split in splits.items():
        # Raises errors of the mixtures before anything is written; `build_model` below does so for the network.
        data.build_dataset(config, split, training=name == "train")
    config = precision.resolve(corpus.config, folder, TASK, compiled_model, data.build_dataset, splits, options)
    if not Path(folder).exists():
        build_model(config)
    run = runs.start(folder, config, TASK, variant, options.resume, corpus.manifest)
    if run.complete:
        return run, False
    runs.write_rejected(run, [split.shards.rejected for split in splits.values()])
    loop.prepare(config)

    model = fit(run, splits, options)
    as_evaluated = dataclasses.replace(corpus, config=data.as_evaluated(config))
    figures, predictions = evaluation.evaluate_split(
        model, as_evaluated, splits["test"], train_speakers=data.speakers_of(corpus, "train")
    )
    plot_files = evaluation.save_plots(figures, predictions, run.folder / "test")
    excerpts.save(run.folder, data.export_excerpts(config, splits["test"]))
    save_example(config, splits["test"], run.folder / "example.wav")
    history = plots.history(pd.DataFrame(run.history), ("loss", "accuracy"), str(run.folder))
    compared = {"accuracy": figures["accuracy"]}
    loop.conclude(run, (variant, VARIANTS[variant]), figures, plot_files, history, compared)
    return run, True


def compiled_model(config: Config, split: data.Split, embedding: Path | None = None) -> keras.Model:
    """Build and compile the network for the training split."""
    steps = data.steps_per_epoch(config, split)
    model = build_model(config, embedding)
    classifier.load_pretrained(model)
    optimizer = optimizers.build_optimizer(config, steps)
    optimizers.scale_learning_rate(optimizer, classifier.pretrained_variables(model), config.fine_tune_rate)
    compile_model(model, config, optimizer, optimizers.steps_per_execution(steps))
    return model


def fit(run: runs.Run, splits: dict[str, data.Split], options: Options) -> keras.Model:
    """Build and train the network, and return it with the weights that are kept."""
    config = run.config
    steps = data.steps_per_epoch(config, splits["train"])
    model = compiled_model(config, splits["train"], classifier.keep_embedding(config, run.folder))
    facts = f"{model.count_params():,} parameters", f"labels {' '.join(config.labels)}"
    loop.announce(config.model, *facts, *litert_embedding.facts(model), *map(data.describe, splits.values()))

    def train(first_step: int, num_batches: int | None = None) -> tf.data.Dataset:
        return data.build_dataset(
            config, splits["train"], training=True, initial_step=first_step, num_batches=num_batches
        )

    as_evaluated = data.as_evaluated(config)
    validation = data.build_dataset(as_evaluated, splits["validation"])
    panels = tensorboard.ClassificationPanels(
        run.folder / "tensorboard",
        train(run.epoch * steps),
        validation,
        config.labels,
        config.sample_rate,
        names=data.speaker_names(as_evaluated, splits["validation"]),
    )
    batch_files = functools.partial(data.batch_files, config, splits["train"])
    setup = loop.Setup(model, train, validation, steps, "val_accuracy", callbacks=(panels,), batch_files=batch_files)
    loop.fit(run, setup, options)
    return model


def save_example(config: Config, split: data.Split, path: Path) -> None:
    """Write a mixture of the test split into the run directory, to try the model on."""
    waveforms, _ = next(iter(data.build_dataset(data.as_evaluated(config), split)))
    audio.write(path, np.asarray(waveforms[-1]), config.sample_rate)
