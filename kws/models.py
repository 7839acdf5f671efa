"""Keyword spotting networks: waveform in, probabilities out."""

from pathlib import Path

import keras

from common import batches, runs
from common import config as configs
from common.encoders import classifier
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
    """Build the network that a configuration describes.

    Args:
        config: Its `words` must be set: they are the outputs.
        embedding: With `--model=embedding`, where the network is that `config.embedding` names, if no longer there.

    Returns:
        A model from a waveform `(batch, num_samples)` in [-1, 1] to probabilities `(batch, len(config.labels))`.

    Raises:
        UserError: `--embedding` names no network that takes such a waveform.
    """
    waveform = keras.Input((config.num_samples,), name="waveform", dtype="float32")
    hidden = classifier.encode(config, waveform, _restore, embedding)
    # Probabilities in half precision would round the best of them to 1.
    outputs = keras.layers.Dense(len(config.labels), activation="softmax", dtype="float32", name="probabilities")(
        hidden
    )
    return keras.Model(waveform, outputs, name=config.model)


def load_model(run_dir: str | Path) -> tuple[Config, keras.Model]:
    """Rebuild the network of a run, in float32, with the weights of its best epoch.

    Raises:
        UserError: The folder is no keyword-spotting run, or has no weights yet.
    """
    with runs.in_float32():
        return _restore(Path(run_dir))


def load_for_inference(run_dir: str | Path, threshold: float | None = None) -> KeywordSpotter:
    """Load a run as a keyword spotter.

    Args:
        run_dir: A trained run.
        threshold: Probability from which a keyword is accepted; None takes the one stored with the run.

    Raises:
        UserError: As `load_model`; or the stored threshold is damaged.
    """
    config, model = load_model(run_dir)
    return spotter(model, config, acceptance.load_threshold(run_dir) if threshold is None else threshold)


def spotter(model: keras.Model, config: Config, threshold: float) -> KeywordSpotter:
    """Return the keyword spotter that a model is with a threshold; model and configuration are from `load_model`."""
    return KeywordSpotter(
        batches.function_of(model),
        sample_rate=config.sample_rate,
        num_samples=config.num_samples,
        labels=config.labels,
        threshold=threshold,
    )


def _restore(run_dir: Path) -> tuple[Config, keras.Model]:
    """Rebuild the network of a run under the policy that is set."""
    config = configs.load(Config, TASK, run_dir / "config.json")
    with runs.rebuilding(run_dir):
        model = build_model(config, classifier.kept_embedding(run_dir))
    runs.load_weights(model, run_dir)
    return config, model


def average_over_shifts(model: keras.Model, config: Config, num_shifts: int) -> keras.Model:
    """Return a model that averages the answers to a clip moved in time: test-time augmentation.

    Args:
        model: From `load_model`.
        config: From `load_model`; the clip moves by up to its `max_shift_ms` both ways.
        num_shifts: How many places, at least 2; that many times the work.
    """
    largest = round(config.max_shift_ms / 1000 * config.sample_rate)
    waveform = keras.Input((config.num_samples,), name="waveform", dtype="float32")
    padded = keras.ops.pad(waveform, ((0, 0), (largest, largest)))
    starts = [round(2 * largest * number / (num_shifts - 1)) for number in range(num_shifts)]
    answers = [model(padded[:, start : start + config.num_samples]) for start in starts]
    return keras.Model(waveform, keras.layers.Average(dtype="float32")(answers), name=f"{model.name}_shifted")


def compile_model(
    model: keras.Model, config: Config, optimizer: keras.optimizers.Optimizer, steps_per_execution: int
) -> None:
    """Set loss, metrics and optimizer for training and evaluation on one-hot labels."""
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=config.jit_compile,
        steps_per_execution=steps_per_execution,
    )
