"""Train a generator: load the corpus, build and fit the model, and evaluate it.

`train_run` has the same steps in the same order in all four tasks, on purpose. Shared logic is in `common`.
"""

import functools
from pathlib import Path

import pandas as pd
import tensorflow as tf

from common import runs
from common.corpora import manifest
from common.export import excerpts
from common.reporting import plots
from common.training import loop, optimizers, precision
from common.training.options import Options
from generation import data, evaluation, reference_metrics
from generation.callbacks import METRICS, Watch
from generation.config import TASK, VARIANTS, Config
from generation.models import Gan, build_model, build_optimizer, compile_model

# Curves of the history plot, and their panels.
_PANELS = {
    "generator_loss": "loss",
    "discriminator_loss": "loss",
    "frechet_distance": "Fréchet distance",
    "spread_ratio": "relative to recordings",
    "coverage": "relative to recordings",
    "nearest_ratio": "relative to recordings",
}


def train_run(
    config: Config,
    folder: str | Path,
    variant: str,
    options: Options,
) -> tuple[runs.Run, bool]:
    """Train one run and evaluate it against the test tracks; a complete run is not trained again.

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
    run = runs.start(folder, config, TASK, variant, options.resume, corpus.manifest)
    if run.complete:
        return run, False
    runs.write_rejected(run, [split.bank.rejected for split in splits.values()])
    loop.prepare(config)

    model = fit(run, splits, options)
    results, samples = evaluation.evaluate_split(model, corpus, splits["test"], train=splits["train"])
    evaluation.save_plots(results, samples, run.folder / "test")
    excerpts.save(run.folder, data.export_excerpts(config, splits["test"]))
    evaluation.draw_evolution(model, run.folder)
    # TensorBoard shows the history as curves.
    images = sorted({*run.folder.glob("*.png")} - {run.folder / "history.png"})
    compared = {name: results[name] for name in ("frechet_distance", "coverage")}
    loop.conclude(run, (variant, VARIANTS[variant]), results, images, draw_history(run), compared)
    return run, True


def draw_history(run: runs.Run) -> plots.Figure:
    """Plot both losses, and the metrics of the monitored epochs."""
    history = pd.DataFrame(run.history)
    curves = history.melt("epoch", list(_PANELS), "curve", "y").dropna().rename(columns={"epoch": "x"})
    return plots.panels(curves.assign(panel=curves["curve"].map(_PANELS)), x_name="epoch", title=str(run.folder))


def compiled_model(config: Config, split: data.Split) -> Gan:
    """Build and compile the model, with the scale of spectrograms measured on the training split."""
    model = build_model(config)
    model.spectra.adapt([tf.constant(data.statistics_excerpts(config, split))])
    steps = data.steps_per_epoch(config, split)
    compile_model(model, config, build_optimizer(config), optimizers.steps_per_execution(steps))
    return model


def fit(run: runs.Run, splits: dict[str, data.Split], options: Options) -> Gan:
    """Build and train the model; returns it with the final weights."""
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
        model,
        train,
        validation,
        steps,
        "frechet_distance",
        mode="min",
        callbacks=(watch,),
        watched=METRICS,
        batch_files=batch_files,
    )
    loop.fit(run, setup, options)
    return model
