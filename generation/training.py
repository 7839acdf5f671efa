"""The training of a generator: corpus, networks, weights, metrics.

The four tasks have `train_run` alike on purpose, in the same order, to be read from top to bottom; what is the same logic is shared.
"""

import functools
from pathlib import Path

import pandas as pd
import tensorflow as tf

from common import runs
from common.corpora import manifest
from common.reporting import plots
from common.training import loop, optimizers, precision
from common.training.options import Options
from generation import data, evaluation, reference_metrics
from generation.callbacks import Watch
from generation.config import TASK, Config
from generation.models import Gan, build_model, build_optimizer, compile_model

# What the history's picture shows, and in which panel.
_PANELS = {
    "generator_loss": "loss",
    "discriminator_loss": "loss",
    "frechet_distance": "Fréchet distance",
    "spread_ratio": "share of what recordings have",
    "coverage": "share of what recordings have",
    "nearest_ratio": "share of what recordings have",
}


def train_run(
    config: Config,
    folder: str | Path,
    variant: str,
    options: Options,
) -> tuple[runs.Run, bool]:
    """Train one run and judge it against the test tracks; a complete one is left as it is.

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
    run = runs.start(folder, config, TASK, variant, options.resume, corpus.manifest)
    if run.complete:
        return run, False
    runs.write_rejected(run, [split.bank.rejected for split in splits.values()])
    loop.prepare(config)

    model = fit(run, splits, options)
    figures, samples = evaluation.evaluate_split(model, corpus, splits["test"], train=splits["train"])
    evaluation.save_plots(figures, samples, run.folder / "test")
    evaluation.draw_evolution(model, run.folder)
    pictures = sorted({*run.folder.glob("*.png"), run.folder / "history.png"})
    compared = {f"test_{name}": figures[name] for name in ("frechet_distance", "coverage")}
    loop.conclude(run, figures, pictures, draw_history(run), compared)
    return run, True


def draw_history(run: runs.Run) -> plots.Figure:
    """Draw both losses, and what was measured at each look."""
    history = pd.DataFrame(run.history)
    curves = history.melt("epoch", list(_PANELS), "curve", "y").dropna().rename(columns={"epoch": "x"})
    return plots.panels(curves.assign(panel=curves["curve"].map(_PANELS)), x_name="epoch", title=str(run.folder))


def compiled_model(config: Config, split: data.Split) -> Gan:
    """Build the networks, with the scale of the training split's spectrograms, ready to fit it."""
    model = build_model(config)
    model.spectra.adapt([tf.constant(data.statistics_excerpts(config, split))])
    steps = data.steps_per_epoch(config, split)
    compile_model(model, config, build_optimizer(config), optimizers.steps_per_execution(steps))
    return model


def fit(run: runs.Run, splits: dict[str, data.Split], options: Options) -> Gan:
    """Build the networks and train them; returns them with the weights that are kept."""
    config = run.config
    steps = data.steps_per_epoch(config, splits["train"])
    model = compiled_model(config, splits["train"])
    generator, discriminator = (f"{network.count_params():,}" for network in (model.generator, model.discriminator))
    sizes = f"generator {generator} parameters, discriminator {discriminator}"
    facts = sizes, f"{config.frames} frames of {config.bands} bands"
    loop.announce(config.model, *facts, *map(data.describe, splits.values()))

    def train(first_step: int, num_batches: int | None = None) -> tf.data.Dataset:
        return data.build_dataset(
            config, splits["train"], training=True, initial_step=first_step, num_batches=num_batches
        )

    validation = data.build_dataset(config, splits["validation"])
    watch = Watch(run, reference_metrics.measure(config, model.spectra, splits["train"], splits["validation"]))
    batch_files = functools.partial(data.batch_files, config, splits["train"])
    setup = loop.Setup(
        model, train, validation, steps, "frechet_distance", mode="min", callbacks=(watch,), batch_files=batch_files
    )
    loop.fit(run, setup, options)
    return model
