"""Optimizers and learning rates that a configuration names, and how many steps a call of the training loop runs."""

import keras
import tensorflow as tf

from common.config import OptimizerConfig
from common.training.muon import Muon

_MOMENTUM = 0.9
# A training is at least so many times as long as its moving average of the weights reaches back.
_AVERAGE_SPANS = 5
_MAX_STEPS_PER_EXECUTION = 10


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
