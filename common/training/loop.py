"""The training loop, shared by all tasks."""

import dataclasses
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
from common.log import logger
from common.reporting import plots, tensorboard
from common.runs import Run
from common.training import watchdog
from common.training.averages import AveragedWeights
from common.training.callbacks import CheckpointKeeper, Throughput, TimeLeft
from common.training.options import Options


def prepare(config: TrainingConfig) -> None:
    """Seed all random generators and set the precision; call it before building anything.

    Raises:
        UserError: `--jit_compile` is set with several workers.
    """
    if config.jit_compile and workers.num_workers() > 1:
        # An attempt would crash at the end of the process.
        raise UserError("--jit_compile: XLA does not support several workers; leave it out")
    keras.utils.set_random_seed(config.seed)
    # With --precision=auto, use float32 until the precision is chosen.
    keras.config.set_dtype_policy("float32" if config.precision == AUTO else config.precision)


def announce(name: str, *facts: str) -> None:
    """Log one line about the model and the data of a training."""
    logger.info("%s: %s", name, "; ".join(facts))


@dataclasses.dataclass(frozen=True)
class Setup:
    """The model and the data of a training.

    Attributes:
        model: A compiled model.
        train: Returns an endless dataset of training batches, starting at the given step; with `num_batches`, one that
            works in a `tf.data` service.
        validation: Batches of the validation split.
        steps_per_epoch: Number of training batches per epoch.
        monitor: The metric that selects the best epoch; epochs in which it is not finite are not selected.
        mode: `max` if larger values are better, `min` if smaller values are better.
        callbacks: Callbacks of the task; their logs are written to TensorBoard and the history.
        watched: Logs of these callbacks that are measured on the validation split.
        batch_files: Returns the source files of each example of the training batch with the given number.
    """

    model: keras.Model
    train: Callable[..., tf.data.Dataset]
    validation: tf.data.Dataset
    steps_per_epoch: int
    monitor: str
    mode: str = "max"
    callbacks: tuple[keras.callbacks.Callback, ...] = ()
    watched: tuple[str, ...] = ()
    batch_files: Callable[[int], list[str]] = lambda step: []


def fit(run: Run, setup: Setup, options: Options) -> None:
    """Train a compiled model, starting from the current epoch of the run.

    `model.keras` gets the best epoch by `monitor` (the later one of equal epochs), or the last epoch with
    `keep_epoch="last"`. Every epoch is backed up. At the end, the model has the weights of `model.keras`.

    Args:
        run: The run directory, from `runs.start`.
        setup: The model and the data.
        options: Options such as the reaction to a NaN loss and the address of a `tf.data` service.

    Raises:
        UserError: The backup is damaged, or the loss is not finite or explodes.
    """
    model, train, steps_per_epoch = setup.model, setup.train, setup.steps_per_epoch

    def batches() -> tf.data.Dataset:
        first_step = run.first_batch(steps_per_epoch)
        if not options.data_service:
            return train(first_step)
        num_batches = (run.config.epochs - run.epoch) * steps_per_epoch
        return service.distribute(train(first_step, num_batches=num_batches), options.data_service)

    def fit_on() -> None:
        # If the first step created the variables of the optimizer, TensorFlow would trace it twice, which takes
        # seconds.
        runs.build_optimizer(model)
        dashboard = run.folder / "tensorboard"
        tensorboard.resume(dashboard, run.epoch)
        # With mixed_float16, Keras wraps the optimizer in one for loss scaling.
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
                TimeLeft(run.config.epochs),
                watchdog.Watchdog(run),
                averages,
                *setup.callbacks,
                tensorboard.Curves(dashboard, setup.watched),
                CheckpointKeeper(run, setup.monitor, setup.mode, averages),
            ],
            # A progress bar on a terminal, else one line per epoch.
            verbose=1 if sys.stdout.isatty() else 2,
        )

    runs.restore_state(run, model)
    if run.epoch < run.config.epochs:
        watchdog.guard(fit_on, run, model, train, steps_per_epoch, options.on_nan, setup.batch_files)
    runs.load_weights(model, run.folder)


def conclude(
    run: Run,
    origin: tuple[str, TrainingConfig],
    figures: dict,
    pictures: Sequence[Path],
    history: plots.Figure | None,
    compared: dict[str, float],
) -> None:
    """Save the history plot of a trained run, write plots and metrics to TensorBoard, and mark the run as complete.

    Args:
        run: The trained run; all its other files are written.
        origin: Name and configuration of the variant that the run started from.
        figures: The metrics to save.
        pictures: Plots to show in TensorBoard; files other than PNG are ignored.
        history: The plot to save as `history.png`; None if there were no epochs.
        compared: The metrics for comparing runs in TensorBoard.
    """
    dashboard = run.folder / "tensorboard"
    if history is not None:
        plots.save(history, run.folder / "history.png")
    variant, base = origin
    plot_files = [path for path in pictures if path.suffix == ".png"]
    tensorboard.write_evaluation(dashboard, compared, plot_files, run.epoch)
    tensorboard.write_hyper_parameters(dashboard, variant, configs.to_dict(base), configs.to_dict(run.config))
    runs.finish(run, figures)
