"""Optimizers, learning-rate schedules, and the number of steps per execution."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from common.config import OptimizerConfig
from common.training.muon import Muon

_MOMENTUM = 0.9
# The span of the EMA of the weights is at most the length of the training divided by this number.
_AVERAGE_SPANS = 5
_MAX_STEPS_PER_EXECUTION = 10


def build_optimizer(config: OptimizerConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Return the optimizer of a configuration, with its learning-rate schedule.

    The schedule depends on the step count of the optimizer, so a resumed training continues it. For short trainings the
    EMA decay is reduced, so that the EMA spans at most a fifth of the training and forgets the initial weights.
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
        # There are no embedding tables; by default, Keras would exclude a network named "embedding" (--embedding).
        return Muon(learning_rate, exclude_embeddings=False, **decay, **averages)
    if config.optimizer == "sgd":
        # Papers add L2 to the gradient, which a momentum of 0.9 amplifies tenfold; in Keras, weight decay is decoupled.
        decay = config.weight_decay / (1 - _MOMENTUM) or None
        return keras.optimizers.SGD(learning_rate, momentum=_MOMENTUM, weight_decay=decay, **averages)
    return keras.optimizers.Adam(learning_rate, **averages)


def scale_learning_rate(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable], fraction: float
) -> None:
    """Train some variables at a fraction of the learning rate, and without weight decay.

    Decay would pull the weights of a pretrained network to zero.
    """
    if not variables or fraction == 1:
        return
    keys = {optimizer._var_key(variable) for variable in variables}
    step = optimizer.update_step

    def update_step(gradient, variable, learning_rate):
        scale = fraction if optimizer._var_key(variable) in keys else 1.0
        return step(gradient, variable, learning_rate * scale)

    optimizer.update_step = update_step
    optimizer.exclude_from_weight_decay(var_list=list(variables))


def steps_per_execution(steps_per_epoch: int) -> int:
    """Return the number of steps per execution: the largest divisor of the steps per epoch, at most ten.

    Each execution has a fixed overhead, 10 to 15 % of the time for small networks. A number that does not divide the
    epoch would run into the next epoch. On several devices it is one, because several steps per execution fail in Keras
    3.15 ("You must feed a value for placeholder").
    """
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        return 1
    return max(count for count in range(1, _MAX_STEPS_PER_EXECUTION + 1) if steps_per_epoch % count == 0)
