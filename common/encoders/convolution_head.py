"""The convolutions of `--model=speech_embedding`, trained on windows that are computed once."""

import keras
import numpy as np
import tensorflow as tf

from common import batches, runs
from common.data import shards
from common.encoders.config import ClassifierConfig
from common.encoders.speech_embedding import WINDOWS
from common.training import optimizers

_BATCH_SIZE = 64
_EPSILON = 1e-7


class ConvolutionHead:
    """The layers of a model behind its windows.

    `fit` begins anew every time, with the same initial weights, and leaves the result in the model.
    """

    def __init__(self, model: keras.Model, config: ClassifierConfig):
        """Take the layers out of a model.

        Args:
            model: A model with a layer `WINDOWS` and an output of probabilities.
            config: `epochs`, `epoch_examples`, `learning_rate`, `weight_decay`, `label_smoothing` and `seed` are used.
        """
        self.config = config
        self.head = keras.Model(model.get_layer(WINDOWS).output, model.output)
        self.steps = max(1, config.epoch_examples // _BATCH_SIZE)
        schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, config.epochs * self.steps)
        self.head.compile(
            keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay),
            keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            steps_per_execution=optimizers.steps_per_execution(self.steps),
        )
        self.initial = [np.array(value) for value in runs.state_variables(self.head)]

    def fit(self, windows: np.ndarray, targets: np.ndarray) -> list[dict[str, float]]:
        """Train from the initial weights.

        Args:
            windows: Shape `(examples, windows, 96)`.
            targets: Class indices, shape `(examples,)`.

        Returns:
            `epoch`, `loss` and `accuracy` of each epoch.
        """
        for variable, value in zip(runs.state_variables(self.head), self.initial, strict=True):
            variable.assign(value)
        # Every class counts the same, as in the linear heads.
        weights = len(targets) / np.bincount(targets)[targets]
        labels = np.eye(self.head.output_shape[1], dtype=np.float32)[targets]
        order = np.random.default_rng(self.config.seed)
        drawn = order.choice(len(targets), self.config.epochs * self.steps * _BATCH_SIZE, p=weights / weights.sum())
        with tf.device("CPU:0"):
            everything = tf.constant(windows, tf.float32), tf.constant(labels)
        train = tf.data.Dataset.from_tensor_slices(drawn).batch(_BATCH_SIZE, drop_remainder=True)
        train = train.map(lambda rows: tuple(tf.gather(part, rows) for part in everything))
        logs = self.head.fit(
            shards.finish(train),
            epochs=self.config.epochs,
            steps_per_epoch=self.steps,
            shuffle=False,
            verbose=0,
        ).history
        return [
            {"epoch": number + 1, "loss": float(loss), "accuracy": float(accuracy)}
            for number, (loss, accuracy) in enumerate(zip(logs["loss"], logs["accuracy"], strict=True))
        ]

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Return log probabilities, shape `(examples, classes)`."""
        return np.log(np.maximum(batches.function_of(self.head)(windows), _EPSILON))

    def cool(self, temperature: float) -> None:
        """Divide the scores of the last layer, a softmax, by a temperature."""
        last = self.head.layers[-1]
        last.set_weights([values / temperature for values in last.get_weights()])
