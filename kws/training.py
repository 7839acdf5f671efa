"""Training of a keyword spotter: corpus, network, weights, threshold, metrics.

`train_run` has the same steps in the same order in all four tasks, on purpose. Shared logic is in `common`.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from common import audio, runs
from common import config as configs
from common.encoders import classifier, litert_embedding, pretrained
from common.errors import UserError, install_hint
from common.export import excerpts
from common.log import logger
from common.reporting import plots, tensorboard
from common.seeds import stream_seed
from common.training import loop, optimizers, precision
from common.training.options import Options
from kws import acceptance, data, estimate, evaluation, few, rejection
from kws.config import GENERAL_VARIANTS, SMALL, TASK, VARIANTS, Config
from kws.models import build_model, compile_model, load_model


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
    if config.fits_head:
        return train_few(config, folder, variant, options)
    if options.data_service and (config.num_teachers or config.teacher_dir):
        name = "num_teachers" if config.num_teachers else "teacher_dir"
        raise UserError(f"--{name}: not supported with --data_service; remove one of the two")
    if variant in GENERAL_VARIANTS and config.model == SMALL.model and not pretrained.is_installed():
        logger.info(
            "--variant=%s trains %s, since the extra embedding is not installed; with it, it is more accurate: %s",
            variant, config.model, install_hint("embedding"),
        )  # fmt: skip
    loop.prepare(config)
    runs.check_folder(folder)
    corpus = data.load_corpus(config, options.shards_dir, download=options.download)
    splits = {split: data.prepare_split(corpus, split) for split in configs.SPLITS}
    config = precision.resolve(corpus.config, folder, TASK, compiled_model, data.build_dataset, splits, options)
    if config.model == "embedding" and not Path(folder).exists():
        build_model(config)  # raises errors of the embedding before anything is written
    teacher = load_teacher(config)
    run = runs.start(folder, config, TASK, variant, options.resume, corpus.manifest)
    if run.complete:
        return run, False
    runs.write_rejected(run, [split.shards.rejected for split in splits.values()])
    teachers = [*train_teachers(run, variant, options), *teacher]
    # Reset the random generators, which the teachers have used.
    loop.prepare(config)

    model = fit(run, splits, options, teachers)
    corpus = dataclasses.replace(corpus, config=config)
    threshold = rejection.store_threshold(model, corpus, splits["validation"], run.folder)
    figures, predictions = evaluation.evaluate_split(model, corpus, splits["test"])
    figures["rejection"], scores = rejection.evaluate_split(
        model, corpus, splits["test"], predictions.probabilities, threshold
    )
    plot_files = evaluation.save_plots(figures, predictions, run.folder / "test")
    plot_files += rejection.save_plot(scores, figures["rejection"], run.folder / "test_rejection.png")
    excerpts.save(run.folder, data.export_excerpts(config, splits["test"]))
    save_example(config, splits["test"], predictions, threshold, run.folder / "example.wav")
    history = plots.history(pd.DataFrame(run.history), ("loss", "accuracy"), str(run.folder))
    compared = {"accuracy": figures["accuracy"]}
    loop.conclude(run, (variant, VARIANTS[variant]), figures, plot_files, history, compared)
    return run, True


def train_few(
    config: Config,
    folder: str | Path,
    variant: str,
    options: Options,
) -> tuple[runs.Run, bool]:
    """Fit one run to a few recordings, and estimate its accuracy from them; see `train_run`.

    All that takes time is computed before the run directory is begun, so an interrupted run begins again.
    """
    few.check(options)
    loop.prepare(config)
    runs.check_folder(folder)
    if config.precision == configs.AUTO:
        config = dataclasses.replace(config, precision="float32")
    kept = few.kept_head(config, folder, options)
    corpus = data.load_corpus(config, options.shards_dir, download=options.download)
    if few.is_complete(folder, options):
        return runs.start(folder, dataclasses.replace(corpus.config, head=kept), TASK, variant), False
    names = [name for name in ("train", "test") if (corpus.manifest["split"] == name).any()]
    splits = {name: data.prepare_split(corpus, name) for name in names}
    chosen = few.choose(corpus.config, splits["train"], kept)
    config = dataclasses.replace(corpus.config, head=chosen.name)
    run = runs.start(folder, config, TASK, variant, options.resume, corpus.manifest)
    runs.write_rejected(run, [split.shards.rejected for split in splits.values()])
    model = few.fit(run, chosen)
    corpus = dataclasses.replace(corpus, config=config)

    out = chosen.left_out
    threshold = rejection.choose_threshold(
        config, out.targets, out.probabilities, out.described, run.folder, out.threshold
    )
    figures, plot_files = {}, []
    if out.how:
        figures, predictions = evaluation.evaluate_left_out(config, out, chosen.table, threshold)
        plot_files += evaluation.save_plots(figures, predictions, run.folder / "left_out")
    about = estimate.summary(chosen)
    if "test" in splits:
        figures, predictions = evaluation.evaluate_split(model, corpus, splits["test"])
        figures["rejection"], scores = rejection.evaluate_split(
            model, corpus, splits["test"], predictions.probabilities, threshold
        )
        plot_files += evaluation.save_plots(figures, predictions, run.folder / "test")
        plot_files += rejection.save_plot(scores, figures["rejection"], run.folder / "test_rejection.png")
    shown = splits.get("test", splits["train"])
    excerpts.save(run.folder, data.export_excerpts(config, shown))
    _, predictions = evaluation.evaluate_split(model, corpus, shown)
    save_example(config, shown, predictions, threshold, run.folder / "example.wav")
    history = plots.history(pd.DataFrame(run.history), ("loss", "accuracy"), str(run.folder)) if run.history else None
    compared = {"accuracy": figures["accuracy"]} if figures else {}
    loop.conclude(run, (variant, VARIANTS[variant]), figures | {"estimate": about}, plot_files, history, compared)
    return run, True


def train_teachers(run: runs.Run, variant: str, options: Options) -> list[keras.Model]:
    """Train the teachers of a run, each in its own run directory, and return their models; empty without teachers."""
    teachers = []
    for number in range(run.config.num_teachers):
        logger.info("teacher %d of %d", number + 1, run.config.num_teachers)
        folder = run.folder / "teachers" / str(number)
        teachers.append(train_run(_teacher_config(run.config, number), folder, variant, options)[0].folder)
    return [load_model(folder)[1] for folder in teachers]


def load_teacher(config: Config) -> list[keras.Model]:
    """Load the model of `--teacher_dir`; empty without one.

    Raises:
        UserError: It is not a trained run, or has other labels or clips.
    """
    if not config.teacher_dir:
        return []
    theirs, model = load_model(config.teacher_dir)
    for name in ("labels", "sample_rate", "num_samples"):
        if getattr(theirs, name) != getattr(config, name):
            raise UserError(
                f"--teacher_dir: {config.teacher_dir} has {name} {getattr(theirs, name)}, expected {getattr(config, name)};"
                " train it with the same words and --clip_seconds"
            )
    return [model]


def _teacher_config(config: Config, number: int) -> Config:
    """Return the configuration of a teacher: another seed and width, and no teachers."""
    return dataclasses.replace(
        config,
        num_teachers=0,
        teacher_dir="",
        width=config.teacher_width,
        seed=stream_seed(config.seed, "kws.teacher", number),
    )


def compiled_model(config: Config, split: data.Split, embedding: Path | None = None) -> keras.Model:
    """Build and compile the network for the training split."""
    steps = data.steps_per_epoch(config, split)
    model = build_model(config, embedding)
    classifier.load_pretrained(model)
    optimizer = optimizers.build_optimizer(config, steps)
    optimizers.scale_learning_rate(optimizer, classifier.pretrained_variables(model), config.fine_tune_rate)
    compile_model(model, config, optimizer, optimizers.steps_per_execution(steps))
    return model


def fit(
    run: runs.Run, splits: dict[str, data.Split], options: Options, teachers: Sequence[keras.Model] = ()
) -> keras.Model:
    """Build and train the network, and return it with the weights that are kept."""
    config = run.config
    steps = data.steps_per_epoch(config, splits["train"])
    model = compiled_model(config, splits["train"], classifier.keep_embedding(config, run.folder))
    facts = f"{model.count_params():,} parameters", f"labels {' '.join(config.labels)}"
    loop.announce(config.model, *facts, *litert_embedding.facts(model), *map(data.describe, splits.values()))

    # `num_batches` is not needed: TensorFlow alone reads the shards, so no batches are sampled in advance for a data
    # service.
    def train(first_step: int, num_batches: int | None = None) -> tf.data.Dataset:
        return data.build_dataset(config, splits["train"], training=True, initial_step=first_step, teachers=teachers)

    validation = data.build_dataset(config, splits["validation"])
    panels = tensorboard.ClassificationPanels(
        run.folder / "tensorboard",
        train(run.epoch * steps),
        validation,
        config.labels,
        config.sample_rate,
        names=data.clip_names(splits["validation"]),
    )
    batch_files = functools.partial(data.batch_files, config, splits["train"])
    setup = loop.Setup(model, train, validation, steps, "val_accuracy", callbacks=(panels,), batch_files=batch_files)
    loop.fit(run, setup, options)
    return model


def save_example(
    config: Config, split: data.Split, predictions: evaluation.Predictions, threshold: float, path: Path
) -> None:
    """Write a clip of the test split into the run directory, to try the model on.

    It is the first clip that is accepted and correct, so that the example command shows a prediction; else the first
    clip. For errors of the model see the evaluation.
    """
    labels, targets, probabilities = predictions[:3]
    accepted = acceptance.keyword_scores(probabilities, labels) >= threshold
    # argmax is 0 if no clip is accepted and correct.
    number = int(np.argmax(accepted & (probabilities.argmax(axis=1) == targets)))
    waveform, _ = next(iter(data.build_dataset(config, split).unbatch().skip(number)))
    audio.write(path, np.asarray(waveform), config.sample_rate)
