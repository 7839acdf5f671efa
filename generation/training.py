"""The training of a generator: corpus, networks, weights, metrics."""

import logging
from pathlib import Path

import pandas as pd
import tensorflow as tf

from common import config as configs
from common import runs
from common.corpora import manifest
from common.reporting import plots, tensorboard
from common.training import loop, precision
from common.training.options import Options
from generation import data, evaluation, references
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
    config = precision.resolve(
        config,
        folder,
        TASK,
        lambda tried: compiled_model(tried, splits["train"]),
        lambda: data.build_dataset(config, splits["train"], training=True),
        resume=options.resume,
        tune_jit_compile=options.tune_jit_compile,
    )
    run = runs.start(folder, config, TASK, variant, options.resume, corpus.manifest)
    if run.complete:
        return run, False
    runs.write_rejected(run, [split.bank.rejected for split in splits.values()])
    loop.prepare(config)

    model = fit(run, splits, options)
    figures, samples = evaluation.evaluate_split(model, corpus, splits["test"], train=splits["train"])
    evaluation.save_plots(figures, samples, run.folder / "test")
    plots.save(draw_history(run), run.folder / "history.png")
    evaluation.draw_evolution(model, run.folder)
    tensorboard.write_plots(run.folder / "tensorboard", sorted(run.folder.glob("*.png")))
    tensorboard.write_hyper_parameters(
        run.folder / "tensorboard",
        configs.to_dict(config),
        {f"test_{name}": figures[name] for name in ("frechet_distance", "coverage")},
    )
    runs.finish(run, figures)
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
    compile_model(model, config, build_optimizer(config), loop.steps_per_execution(steps))
    return model


def fit(run: runs.Run, splits: dict[str, data.Split], options: Options) -> Gan:
    """Build the networks and train them; returns them with the weights that are kept."""
    config = run.config
    steps = data.steps_per_epoch(config, splits["train"])
    model = compiled_model(config, splits["train"])
    logging.info(
        "%s: generator %s parameters, discriminator %s; %d frames of %d bands; %s",
        config.model,
        f"{model.generator.count_params():,}",
        f"{model.discriminator.count_params():,}",
        config.frames,
        config.bands,
        "; ".join(data.describe(split) for split in splits.values()),
    )

    def train(first_step: int, num_batches: int | None = None) -> tf.data.Dataset:
        return data.build_dataset(
            config, splits["train"], training=True, initial_step=first_step, num_batches=num_batches
        )

    validation = data.build_dataset(config, splits["validation"])
    watch = Watch(run, references.measure(config, model.spectra, splits["train"], splits["validation"]))
    loop.fit(
        run,
        model,
        train,
        validation,
        steps,
        monitor="frechet_distance",
        mode="min",
        callbacks=(watch,),
        on_nan=options.on_nan,
        batch_files=lambda step: data.batch_files(config, splits["train"], step),
        data_service=options.data_service,
    )
    return model
