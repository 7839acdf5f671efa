"""Training: what every task does between its dataset, its model and its run directory."""

import dataclasses
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from common import config as configs
from common import runs
from common.config import AUTO, TrainingConfig
from common.distribution import service, workers
from common.errors import UserError
from common.reporting import plots, tensorboard
from common.runs import Run
from common.training import watchdog
from common.training.averages import AveragedWeights
from common.training.callbacks import CheckpointKeeper, Throughput
from common.training.options import Options


def prepare(config: TrainingConfig) -> None:
    """Seed every random generator and set the precision, before anything is built.

    Raises:
        UserError: XLA was asked for, which does not compile what several workers exchange.
    """
    if config.jit_compile and workers.num_workers() > 1:
        # The attempt would crash at the end of the process.
        raise UserError("--jit_compile: XLA does not compile what several workers exchange; leave it out")
    keras.utils.set_random_seed(config.seed)
    # What is not chosen yet is float32: data and refusals come before the choice.
    keras.config.set_dtype_policy("float32" if config.precision == AUTO else config.precision)


def announce(name: str, *facts: str) -> None:
    """Log in one line what is about to be trained on what."""
    logging.info("%s: %s", name, "; ".join(facts))


@dataclasses.dataclass(frozen=True)
class Setup:
    """What is trained, and on what.

    Attributes:
        model: A compiled model.
        train: Gives the training batches without end, from the step on that it is asked for; told `num_batches` too, such
            as other machines can make.
        validation: Batches of the validation split.
        steps_per_epoch: Batches of `train` that make an epoch.
        monitor: The metric that chooses the epoch to keep; an epoch in which it is not a number is not kept.
        mode: `max` if larger values of it are better, `min` if smaller ones are.
        callbacks: The task's own; their logs reach TensorBoard and the history.
        batch_files: Says what each example of the training batch of a number was read from.
    """

    model: keras.Model
    train: Callable[..., tf.data.Dataset]
    validation: tf.data.Dataset
    steps_per_epoch: int
    monitor: str
    mode: str = "max"
    callbacks: tuple[keras.callbacks.Callback, ...] = ()
    batch_files: Callable[[int], list[str]] = lambda step: []


def fit(run: Run, setup: Setup, options: Options) -> None:
    """Train a compiled model to the run's last epoch, from wherever the run stands.

    The best epoch by `monitor` (of equals the later), or with `keep_epoch="last"` the last one, is kept in `model.keras`,
    every epoch is backed up, and the model is left with the weights that are kept.

    Args:
        run: The run directory, from `runs.start`.
        setup: What is trained.
        options: What to do when the loss is not a number, and who makes the training batches.

    Raises:
        UserError: The backup is damaged, or the loss is not a number.
    """
    model, train, steps_per_epoch = setup.model, setup.train, setup.steps_per_epoch

    def batches() -> tf.data.Dataset:
        first_step = run.first_batch(steps_per_epoch)
        if not options.data_service:
            return train(first_step)
        num_batches = (run.config.epochs - run.epoch) * steps_per_epoch
        return service.distribute(train(first_step, num_batches=num_batches), options.data_service)

    def fit_on() -> None:
        # Variables that a first step creates have TensorFlow trace that step twice: seconds before anything is learnt.
        runs.build_optimizer(model)
        board = tensorboard.Scalars(str(run.folder / "tensorboard"), write_graph=False)
        # Under mixed_float16 Keras puts an optimizer that scales losses around the one that averages.
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        averages = AveragedWeights(train(run.clean_from)) if optimizer.use_ema else keras.callbacks.Callback()
        model.fit(
            workers.training_batches(batches()),
            validation_data=setup.validation,
            epochs=run.config.epochs,
            initial_epoch=run.epoch,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,  # the dataset is shuffled already
            callbacks=[
                Throughput(run.config.step_examples * steps_per_epoch),
                watchdog.Watchdog(run),
                averages,
                *setup.callbacks,
                board,
                CheckpointKeeper(run, setup.monitor, setup.mode, averages),
            ],
            # A bar that redraws itself is for a terminal; in a log each epoch gets one line.
            verbose=1 if sys.stdout.isatty() else 2,
        )

    runs.restore_state(run, model)
    if run.epoch < run.config.epochs:
        watchdog.guard(fit_on, run, model, train, steps_per_epoch, options.on_nan, setup.batch_files)
    runs.load_weights(model, run.folder)


def conclude(
    run: Run, figures: dict, pictures: Sequence[Path], history: plots.Figure, compared: dict[str, float]
) -> None:
    """Draw the history of a trained run, show what was found in TensorBoard, and mark the run complete.

    Args:
        run: The run, trained; all its other files are written.
        figures: The metrics to keep.
        pictures: Files to show; those that are no PNG are left out.
        history: To save as `history.png`.
        compared: The figures by which TensorBoard compares runs.
    """
    dashboard = run.folder / "tensorboard"
    plots.save(history, run.folder / "history.png")
    tensorboard.write_plots(dashboard, [path for path in pictures if path.suffix == ".png"])
    tensorboard.write_hyper_parameters(dashboard, configs.to_dict(run.config), compared)
    runs.finish(run, figures)
