"""Speaker counting networks: waveform in, probabilities out.

With every head the output is a probability for each label: counts, or with the head `sex` pairs of numbers of women and
men, whose probabilities sum to those of the counts. So all heads use the same loss, the cross-entropy.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from scipy.special import gammaln

from common import batches, runs
from common import config as configs
from common.encoders import classifier
from counting.config import MODELS, TASK, Config, label_totals
from counting.inference import SpeakerCounter

__all__ = ["MODELS", "build_model", "compile_model", "load_for_inference", "load_model"]


def build_model(config: Config, embedding: str | Path | None = None) -> keras.Model:
    """Build the network of a configuration.

    Args:
        config: The configuration.
        embedding: With `--model=embedding`, path of the embedding network; None for `config.embedding`.

    Returns:
        A model from a waveform `(batch, num_samples)` in [-1, 1] to probabilities `(batch, len(config.labels))`.

    Raises:
        UserError: The network, or that of `--embedding`, does not accept clips of this length.
    """
    waveform = keras.Input((config.num_samples,), name="waveform", dtype="float32")
    hidden = classifier.encode(config, waveform, _restore, embedding)
    outputs = _HEADS[config.head](hidden, config)
    return keras.Model(waveform, outputs, name=config.model)


def _softmax(hidden: keras.KerasTensor, config: Config) -> keras.KerasTensor:
    # Half precision would round the largest probabilities to 1.
    return keras.layers.Dense(len(config.labels), activation="softmax", dtype="float32", name="probabilities")(hidden)


def _ordinal(hidden: keras.KerasTensor, config: Config) -> keras.KerasTensor:
    """Predict P(more than k | more than k - 1) for each k, and multiply.

    With conditional probabilities the counts' probabilities cannot be negative; with independent ones they can (Shi,
    Cao and Raschka, "Deep neural networks for rank-consistent ordinal regression", 2021, arXiv 2111.08851).
    """
    more = keras.layers.Dense(len(config.counts) - 1, activation="sigmoid", dtype="float32", name="more")(hidden)
    return OrdinalProbabilities(dtype="float32", name="probabilities")(more)


def _poisson(hidden: keras.KerasTensor, config: Config) -> keras.KerasTensor:
    """Predict the rate of a Poisson distribution truncated to the possible counts."""
    rate = keras.layers.Dense(1, activation="softplus", dtype="float32", name="rate")(hidden)
    return PoissonProbabilities(config.counts, dtype="float32", name="probabilities")(rate)


_HEADS = {configs.AUTO: _softmax, "sex": _softmax, "class": _softmax, "ordinal": _ordinal, "poisson": _poisson}


@keras.saving.register_keras_serializable(package="quartet")
class OrdinalProbabilities(keras.layers.Layer):
    """Converts conditional probabilities P(more than k | more than k - 1) to the probability of each count.

    Input shape `(batch, counts - 1)`, output shape `(batch, counts)`; outputs sum to 1.
    """

    def call(self, more):
        """Compute P(k) = P(more than k - 1) - P(more than k), each a product of the inputs."""
        # A loop, because LiteRT has no cumulative product.
        beyond = [keras.ops.ones_like(more[:, :1])]
        for number in range(more.shape[1]):
            beyond.append(beyond[-1] * more[:, number : number + 1])
        last = keras.ops.zeros_like(beyond[0])
        return keras.ops.concatenate(beyond, axis=-1) - keras.ops.concatenate([*beyond[1:], last], axis=-1)

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        return (*input_shape[:-1], input_shape[-1] + 1)


@keras.saving.register_keras_serializable(package="quartet")
class PoissonProbabilities(keras.layers.Layer):
    """Converts a rate to the probability of each count, from a Poisson distribution truncated to the counts.

    Input shape `(batch, 1)`, positive; output shape `(batch, counts)`; outputs sum to 1.

    Args:
        counts: The counts.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, counts: tuple[int, ...], **kwargs):
        super().__init__(**kwargs)
        self.counts = tuple(counts)

    def call(self, rate):
        """Compute the softmax of k log(rate) - log(k!); the term -rate of the log-probability cancels out."""
        counts = np.asarray(self.counts, np.float32)
        logarithm = keras.ops.log(rate + keras.config.epsilon())
        return keras.ops.softmax(counts * logarithm - gammaln(counts + 1).astype(np.float32), axis=-1)

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        return (*input_shape[:-1], len(self.counts))

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "counts": self.counts}


def load_model(run_dir: str | Path) -> tuple[Config, keras.Model]:
    """Rebuild the network of a run, in float32, with the weights that were kept.

    Raises:
        UserError: The folder is not a speaker-counting run, or has no weights yet.
    """
    with runs.in_float32():
        return _restore(Path(run_dir))


def load_for_inference(run_dir: str | Path) -> SpeakerCounter:
    """Load a run as a speaker counter.

    Raises:
        UserError: As for `load_model`.
    """
    config, model = load_model(run_dir)
    return SpeakerCounter(
        batches.function_of(model),
        sample_rate=config.sample_rate,
        num_samples=config.num_samples,
        counts=config.counts,
        sexes=config.known_sexes,
    )


def _restore(run_dir: Path) -> tuple[Config, keras.Model]:
    """Rebuild the network of a run under the current dtype policy."""
    config = configs.load(Config, TASK, run_dir / "config.json")
    with runs.rebuilding(run_dir):
        model = build_model(config, classifier.kept_embedding(run_dir))
    runs.load_weights(model, run_dir)
    return config, model


@keras.saving.register_keras_serializable(package="quartet")
class CountMetric(keras.metrics.Mean):
    """Accuracy or mean absolute error of the likeliest count, from one-hot labels and label probabilities.

    Args:
        totals: The count of each label.
        kind: "accuracy" or "mean_absolute_error".
        **kwargs: Arguments of `keras.metrics.Metric`: `name`, `dtype`.
    """

    def __init__(self, totals: Sequence[int], kind: str, **kwargs):
        super().__init__(**{"name": kind, **kwargs})
        self.totals = tuple(totals)
        self.kind = kind
        counts = np.arange(min(totals), max(totals) + 1)
        self._matrix = (np.asarray(totals)[:, None] == counts).astype(np.float32)

    def update_state(self, truth, predictions, sample_weight=None):
        """Update the mean with a batch."""
        truth, predictions = (
            keras.ops.matmul(keras.ops.cast(x, "float32"), self._matrix) for x in (truth, predictions)
        )
        errors = keras.ops.abs(keras.ops.argmax(truth, axis=-1) - keras.ops.argmax(predictions, axis=-1))
        values = errors == 0 if self.kind == "accuracy" else errors
        super().update_state(keras.ops.cast(values, "float32"), sample_weight)

    def get_config(self):
        """Return the arguments of the metric."""
        return {**super().get_config(), "totals": self.totals, "kind": self.kind}


def compile_model(
    model: keras.Model, config: Config, optimizer: keras.optimizers.Optimizer, steps_per_execution: int
) -> None:
    """Compile the model for training and evaluation on one-hot labels.

    `accuracy` and `mean_absolute_error` are those of the likeliest count. `sex_accuracy` is the fraction of mixtures
    whose likeliest pair of women and men is correct.
    """
    totals = label_totals(config.counts, config.known_sexes)
    metrics = [CountMetric(totals, "accuracy"), CountMetric(totals, "mean_absolute_error")]
    if config.known_sexes:
        metrics.append(keras.metrics.CategoricalAccuracy(name="sex_accuracy"))
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
        metrics=metrics,
        jit_compile=config.jit_compile,
        steps_per_execution=steps_per_execution,
    )
