"""Training: what every task does between its dataset, its model and its run directory."""

import dataclasses
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import config as configs
from common import files, runs
from common.config import AUTO, OptimizerConfig, TrainingConfig
from common.distribution import service, workers
from common.errors import UserError
from common.reporting import plots, tensorboard
from common.runs import Run
from common.training import watchdog
from common.training.averages import AveragedWeights
from common.training.muon import Muon
from common.training.options import Options

_MOMENTUM = 0.9
# A training is at least so many times as long as its moving average of the weights reaches back.
_AVERAGE_SPANS = 5
_MAX_STEPS_PER_EXECUTION = 10


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


def build_optimizer(config: OptimizerConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Return the optimizer and learning-rate schedule that a configuration names.

    The schedule counts the optimizer's own steps, so a resumed training continues it. An average that reaches back over
    more than a fifth of a training would still hold the weights that it began with: of a short one it reaches less far.
    """
    total_steps = config.epochs * steps_per_epoch
    warmup_steps = min(round(config.warmup_epochs * steps_per_epoch), total_steps - 1)
    momentum = min(config.ema_momentum, max(0.0, 1 - _AVERAGE_SPANS / total_steps))
    averages = {"use_ema": True, "ema_momentum": momentum} if config.ema_momentum else {}
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = config.learning_rate
    if config.schedule == "cosine":
        learning_rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup_steps else config.learning_rate,
            total_steps - warmup_steps,
            warmup_target=config.learning_rate if warmup_steps else None,
            warmup_steps=warmup_steps,
        )
    elif warmup_steps:
        learning_rate = keras.optimizers.schedules.PolynomialDecay(0.0, warmup_steps, config.learning_rate)
    if config.optimizer == "adamw":
        return keras.optimizers.AdamW(learning_rate, weight_decay=config.weight_decay, **averages)
    if config.optimizer == "muon":
        decay = {"weight_decay": config.weight_decay, "adam_weight_decay": config.weight_decay}
        # No network here looks words up in a table: what Keras would leave out is a network taken over by --embedding.
        return Muon(learning_rate, exclude_embeddings=False, **decay, **averages)
    if config.optimizer == "sgd":
        # Papers add L2 to the gradient, where the momentum of 0.9 makes it ten times as strong; Keras decouples it.
        decay = config.weight_decay / (1 - _MOMENTUM) or None
        return keras.optimizers.SGD(learning_rate, momentum=_MOMENTUM, weight_decay=decay, **averages)
    return keras.optimizers.Adam(learning_rate, **averages)


def steps_per_execution(steps_per_epoch: int) -> int:
    """Return how many steps one call of the compiled loop runs: the largest number up to ten that divides an epoch.

    Each call costs a fixed overhead, 10 to 15 % of the time of small networks; one that does not divide the epoch would
    run into the next. On several devices it is one: there Keras 3.15's loop over steps fails ("You must feed a value for
    placeholder").
    """
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        return 1
    return max(count for count in range(1, _MAX_STEPS_PER_EXECUTION + 1) if steps_per_epoch % count == 0)


@dataclasses.dataclass(frozen=True)
class Lesson:
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


def fit(run: Run, lesson: Lesson, options: Options) -> None:
    """Train a compiled model to the run's last epoch, from wherever the run stands.

    The best epoch by `monitor` (of equals the later), or with `keep_epoch="last"` the last one, is kept in `model.keras`,
    every epoch is backed up, and the model is left with the weights that are kept.

    Args:
        run: The run directory, from `runs.start`.
        lesson: What is trained.
        options: What to do when the loss is not a number, and who makes the training batches.

    Raises:
        UserError: The backup is damaged, or the loss is not a number.
    """
    model, train, steps_per_epoch = lesson.model, lesson.train, lesson.steps_per_epoch

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
            validation_data=lesson.validation,
            epochs=run.config.epochs,
            initial_epoch=run.epoch,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,  # the dataset is shuffled already
            callbacks=[
                _Throughput(run.config.step_examples * steps_per_epoch),
                watchdog.Watchdog(run),
                averages,
                *lesson.callbacks,
                board,
                _Keeper(run, lesson.monitor, lesson.mode, averages),
            ],
            # A bar that redraws itself is for a terminal; in a log each epoch gets one line.
            verbose=1 if sys.stdout.isatty() else 2,
        )

    runs.restore_state(run, model)
    if run.epoch < run.config.epochs:
        watchdog.guard(fit_on, run, model, train, steps_per_epoch, options.on_nan, lesson.batch_files)
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


class _Throughput(keras.callbacks.Callback):
    """Add `examples_per_second` of training alone, and `learning_rate`, to the logs of every epoch."""

    def __init__(self, examples_per_epoch: int):
        super().__init__()
        self.examples_per_epoch = examples_per_epoch

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.begin = time.perf_counter()
        self.end = None

    def on_test_begin(self, logs: dict | None = None) -> None:
        self.end = self.end or time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        seconds = (self.end or time.perf_counter()) - self.begin
        logs["examples_per_second"] = self.examples_per_epoch / seconds
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


class _Keeper(keras.callbacks.Callback):
    """Keep the weights of the best epoch, or of the last, and back up the state after every epoch.

    The best weights are written before the backup that counts the epoch: a kill between the two repeats the epoch, and
    the repetition writes the same weights again.
    """

    def __init__(self, run: Run, monitor: str, mode: str, averages: keras.callbacks.Callback):
        """Keep by `monitor` and `mode`; `averages` exchanges the weights for their average around every validation."""
        super().__init__()
        self.run = run
        self.monitor = monitor
        self.sign = -1 if mode == "min" else 1
        self.averages = averages

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = {name: float(value) for name, value in logs.items()}
        value = self.sign * logs[self.monitor]
        better = value >= self.run.best or self.run.config.keep_epoch == "last"
        if better or not self.run.model_path.exists():
            self.run.best = value if np.isfinite(value) else self.run.best
            # What was validated is what is kept: the averaged weights, where there are such.
            self.averages.on_test_begin()
            with files.atomic_path(self.run.model_path) as temporary:
                self.model.save(temporary)
            self.averages.on_test_end()
        self.run.history.append({"epoch": epoch + 1, **logs, "restores": self.run.restores})
        self.run.restores = 0
        runs.save_state(self.run, self.model)
