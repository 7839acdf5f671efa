"""Speaker counting networks: waveform in, probabilities out.

Whatever a network answers by, its output is a probability for each of the configuration's labels: counts, or with the
head `sex` pairs of women and men, over which a count's probability is a sum. So one loss, the logarithm of the
probability of what is true, serves all heads.
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
    """Build the network that a configuration describes.

    Args:
        config: What to build.
        embedding: With `--model=embedding`, where the network is that `config.embedding` names, if no longer there.

    Returns:
        A model from a waveform `(batch, num_samples)` in [-1, 1] to probabilities `(batch, len(config.labels))`.

    Raises:
        UserError: The network does not take clips of such a length, or `--embedding` names none that does.
    """
    waveform = keras.Input((config.num_samples,), name="waveform", dtype="float32")
    hidden = classifier.encode(config, waveform, _restore, embedding)
    outputs = _HEADS[config.head](hidden, config)
    return keras.Model(waveform, outputs, name=config.model)


def _softmax(hidden: keras.KerasTensor, config: Config) -> keras.KerasTensor:
    # Probabilities in half precision would round the best of them to 1.
    return keras.layers.Dense(len(config.labels), activation="softmax", dtype="float32", name="probabilities")(hidden)


def _ordinal(hidden: keras.KerasTensor, config: Config) -> keras.KerasTensor:
    """Answer "more than k, given that it is more than k - 1" for each k, and multiply.

    Conditional probabilities keep the counts' probabilities from becoming negative, which independent ones do not (Shi,
    Cao and Raschka, "Deep neural networks for rank-consistent ordinal regression", 2021, arXiv 2111.08851).
    """
    more = keras.layers.Dense(len(config.counts) - 1, activation="sigmoid", dtype="float32", name="more")(hidden)
    return OrdinalProbabilities(dtype="float32", name="probabilities")(more)


def _poisson(hidden: keras.KerasTensor, config: Config) -> keras.KerasTensor:
    """Answer the rate of a Poisson distribution, here limited to the counts that can be."""
    rate = keras.layers.Dense(1, activation="softplus", dtype="float32", name="rate")(hidden)
    return PoissonProbabilities(config.counts, dtype="float32", name="probabilities")(rate)


_HEADS = {"sex": _softmax, "class": _softmax, "ordinal": _ordinal, "poisson": _poisson}


@keras.saving.register_keras_serializable(package="quartet")
class OrdinalProbabilities(keras.layers.Layer):
    """Turn conditional probabilities of "more than" into those of each count.

    Takes `(batch, counts - 1)` and gives `(batch, counts)`, which sum to 1.
    """

    def call(self, more):
        """Multiply: P(k) = P(more than all before) * (1 - P(more than k))."""
        # One by one: LiteRT has no cumulative product.
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
    """Turn a rate into the probability of each count: Poisson's, limited to the counts given.

    Takes `(batch, 1)`, above 0, and gives `(batch, counts)`, which sum to 1.

    Args:
        counts: The counts.
        **kwargs: Of `keras.layers.Layer`.
    """

    def __init__(self, counts: tuple[int, ...], **kwargs):
        super().__init__(**kwargs)
        self.counts = tuple(counts)

    def call(self, rate):
        """Compute the softmax of the logarithms k log(rate) - log(k!); the rate itself cancels out."""
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
        UserError: The folder is no speaker-counting run, or has no weights yet.
    """
    with runs.in_float32():
        return _restore(Path(run_dir))


def load_for_inference(run_dir: str | Path) -> SpeakerCounter:
    """Load a run as a speaker counter.

    Raises:
        UserError: As `load_model`.
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
    """Rebuild the network of a run under the policy that is set."""
    config = configs.load(Config, TASK, run_dir / "config.json")
    with runs.rebuilding(run_dir):
        model = build_model(config, classifier.kept_embedding(run_dir))
    runs.load_weights(model, run_dir)
    return config, model


@keras.saving.register_keras_serializable(package="quartet")
class CountMetric(keras.metrics.Mean):
    """Mean over mixtures of what the likeliest count is worth, from one-hot labels and probabilities of labels.

    Args:
        totals: The count that each label stands for.
        kind: "accuracy", 1 where the count is right, or "mean_absolute_error", how far it is off.
        **kwargs: Of `keras.metrics.Metric`: `name`, `dtype`.
    """

    def __init__(self, totals: Sequence[int], kind: str, **kwargs):
        super().__init__(**{"name": kind, **kwargs})
        self.totals = tuple(totals)
        self.kind = kind
        counts = np.arange(min(totals), max(totals) + 1)
        self._matrix = (np.asarray(totals)[:, None] == counts).astype(np.float32)

    def update_state(self, truth, answers, sample_weight=None):
        """Add a batch."""
        truth, answers = (keras.ops.matmul(keras.ops.cast(x, "float32"), self._matrix) for x in (truth, answers))
        errors = keras.ops.abs(keras.ops.argmax(truth, axis=-1) - keras.ops.argmax(answers, axis=-1))
        values = errors == 0 if self.kind == "accuracy" else errors
        super().update_state(keras.ops.cast(values, "float32"), sample_weight)

    def get_config(self):
        """Return the arguments of the metric."""
        return {**super().get_config(), "totals": self.totals, "kind": self.kind}


def compile_model(
    model: keras.Model, config: Config, optimizer: keras.optimizers.Optimizer, steps_per_execution: int
) -> None:
    """Set loss, metrics and optimizer for training and evaluation on one-hot labels.

    `accuracy` and `mean_absolute_error` are of the likeliest count; `sex_accuracy` is the share of mixtures whose
    likeliest pair of women and men is the right one.
    """
    totals = label_totals(config.counts, config.known_sexes)
    metrics = [CountMetric(totals, "accuracy"), CountMetric(totals, "mean_absolute_error")]
    if config.head == "sex":
        metrics.append(keras.metrics.CategoricalAccuracy(name="sex_accuracy"))
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
        metrics=metrics,
        jit_compile=config.jit_compile,
        steps_per_execution=steps_per_execution,
    )
