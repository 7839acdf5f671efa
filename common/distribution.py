"""Which devices a training uses."""

import tensorflow as tf

from common.errors import UserError

STRATEGIES = ("auto", "single", "mirrored")


def strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Return the distribution strategy that `--strategy` names.

    Args:
        name: `single` uses one device; `mirrored` keeps a copy of the model on every GPU, or on every logical CPU where
            there are several, and splits each batch among them; `auto` is `mirrored` where there are several GPUs.

    Raises:
        UserError: `mirrored` was asked for with only one device, or the name is unknown.
    """
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if name == "single" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    if name not in STRATEGIES:
        raise UserError(f'unknown strategy "{name}"; expected one of {", ".join(STRATEGIES)}')
    if len(devices) < 2:
        raise UserError(f"--strategy=mirrored needs several devices, found {devices[0].name}; use --strategy=single")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
