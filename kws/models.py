"""Keyword spotting networks: waveform in, probabilities out."""

from pathlib import Path

import keras

from common import batches, runs
from common import config as configs
from common.encoders import classifier, stretches
from kws import acceptance
from kws.config import MODELS, TASK, Config
from kws.inference import KeywordSpotter

__all__ = [
    "MODELS",
    "average_over_shifts",
    "build_model",
    "compile_model",
    "load_for_inference",
    "load_model",
    "spotter",
]


def build_model(config: Config, embedding: str | Path | None = None) -> keras.Model:
    """Build the network of a configuration.

    Args:
        config: The configuration; `words` must be set, since they are the outputs.
        embedding: With `--model=embedding`, path of the embedding network; None for `config.embedding`.

    Returns:
        A model from a waveform `(batch, num_samples)` in [-1, 1] to probabilities `(batch, len(config.labels))`.

    Raises:
        UserError: `--embedding` is not a network that accepts such a waveform.
    """
    waveform = keras.Input((config.num_samples,), name="waveform", dtype="float32")
    hidden = classifier.encode(config, waveform, _restore, embedding)
    # Half precision would round the largest probabilities to 1.
    outputs = keras.layers.Dense(len(config.labels), activation="softmax", dtype="float32", name="probabilities")(
        hidden
    )
    return keras.Model(waveform, outputs, name=config.model)


def load_model(run_dir: str | Path) -> tuple[Config, keras.Model]:
    """Rebuild the network of a run, in float32, with the weights that were kept.

    Raises:
        UserError: The folder is not a keyword-spotting run, or has no weights yet.
    """
    with runs.in_float32():
        return _restore(Path(run_dir))


def load_for_inference(run_dir: str | Path, threshold: float | None = None) -> KeywordSpotter:
    """Load a run as a keyword spotter.

    Args:
        run_dir: A trained run.
        threshold: Smallest probability at which a keyword is accepted; None for the threshold stored with the run.

    Raises:
        UserError: As for `load_model`, or the stored threshold is damaged.
    """
    config, model = load_model(run_dir)
    return spotter(model, config, acceptance.operating_point(run_dir, threshold).threshold)


def spotter(model: keras.Model, config: Config, threshold: float) -> KeywordSpotter:
    """Return a keyword spotter for a model and configuration from `load_model`, with a threshold."""
    return KeywordSpotter(
        batches.function_of(model),
        sample_rate=config.sample_rate,
        num_samples=config.num_samples,
        labels=config.labels,
        threshold=threshold,
        stretch=stretches.of_model(model, config.num_samples),
    )


def _restore(run_dir: Path) -> tuple[Config, keras.Model]:
    """Rebuild the network of a run under the current dtype policy."""
    config = configs.load(Config, TASK, run_dir / "config.json")
    with runs.rebuilding(run_dir):
        model = build_model(config, classifier.kept_embedding(run_dir))
    runs.load_weights(model, run_dir)
    return config, model


def average_over_shifts(model: keras.Model, config: Config, num_shifts: int) -> keras.Model:
    """Return a model that averages predictions over time shifts of a clip (test-time augmentation).

    Args:
        model: From `load_model`.
        config: From `load_model`; the shifts span ±`max_shift_ms`.
        num_shifts: Number of shifts, at least 2; inference takes this many times as long.
    """
    largest = round(config.max_shift_ms / 1000 * config.sample_rate)
    waveform = keras.Input((config.num_samples,), name="waveform", dtype="float32")
    padded = keras.ops.pad(waveform, ((0, 0), (largest, largest)))
    starts = [round(2 * largest * number / (num_shifts - 1)) for number in range(num_shifts)]
    outputs = [model(padded[:, start : start + config.num_samples]) for start in starts]
    return keras.Model(waveform, keras.layers.Average(dtype="float32")(outputs), name=f"{model.name}_shifted")


def compile_model(
    model: keras.Model, config: Config, optimizer: keras.optimizers.Optimizer, steps_per_execution: int
) -> None:
    """Compile the model for training and evaluation on one-hot labels."""
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=config.jit_compile,
        steps_per_execution=steps_per_execution,
    )
