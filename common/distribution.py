"""Which devices a training uses."""

import keras
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
    _build_models_from_one_device()
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _build_models_from_one_device() -> None:
    """Let Keras build a model from the first device's part of a batch.

    Before it fits, evaluates or predicts, Keras 3.15 adds the devices' parts of the first batch up to learn its shape
    (keras-team/keras#20585), which fails where nine examples are dealt as five and four. The shape of one part tells
    as much.
    """
    trainer = keras.src.backend.tensorflow.trainer.TensorFlowTrainer

    def build(self, iterator=None, data_batch=None):
        if self._distribute_strategy is None:
            return
        if iterator is not None:
            batches = next(next(iter(iterator))[2])
            data_batch = keras.tree.map_structure(
                lambda part: tf.distribute.get_strategy().experimental_local_results(part)[0], batches
            )
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    trainer._maybe_symbolic_build = build


def evaluation_batch_size(num_examples: int, batch_size: int) -> int:
    """Return the batch size nearest to a wish with which no device gets an empty batch at the end of a pass.

    Each batch is dealt to the devices of the current strategy in equal parts, so a short last one can leave a device
    without examples; there oneDNN's convolution returns the shape of its input instead of its output (TensorFlow 2.21).

    Args:
        num_examples: Examples in a pass.
        batch_size: The batch size wished for.

    Example:
        >>> evaluation_batch_size(9, 4)
        4
    """
    num_replicas = tf.distribute.get_strategy().num_replicas_in_sync
    fitting = [
        size
        for size in range(num_replicas, num_examples + batch_size + num_replicas, num_replicas)
        if num_examples % size == 0 or num_examples % size > size // num_replicas * (num_replicas - 1)
    ]
    return min(fitting or [batch_size], key=lambda size: abs(size - batch_size))
