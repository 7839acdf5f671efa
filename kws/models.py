"""Keyword spotting networks: waveform in, probabilities out."""

import inspect
from pathlib import Path

import keras

from common import config as configs
from common import features, runs
from common.augment import SpecAugment
from common.encoders import ENCODERS
from kws.config import TASK, Config

MODELS = tuple(ENCODERS)


def build_model(config: Config) -> keras.Model:
    """Build the network that a configuration describes.

    Args:
        config: Its `words` must be set: they are the outputs.

    Returns:
        A model from a waveform `(batch, num_samples)` in [-1, 1] to probabilities `(batch, len(config.labels))`.
    """
    waveform = keras.Input((config.num_samples,), name="waveform", dtype="float32")
    hidden = waveform
    encoder = ENCODERS[config.model]
    if encoder.takes == "spectrogram":
        hidden = _feature_layer(config)(waveform)
        if config.max_time_mask or config.max_frequency_mask:
            hidden = SpecAugment(
                num_time_masks=2,
                max_time_frames=config.max_time_mask,
                num_frequency_masks=2,
                max_frequency_bins=config.max_frequency_mask,
                seed=config.seed,
            )(hidden)
    accepted = inspect.signature(encoder.build).parameters
    embedding = encoder.build(
        hidden, **{name: getattr(config, name) for name in ("tau", "dropout") if name in accepted}
    )
    # Probabilities in half precision would round the best of them to 1.
    outputs = keras.layers.Dense(len(config.labels), activation="softmax", dtype="float32", name="probabilities")(
        embedding
    )
    return keras.Model(waveform, outputs, name=config.model)


def _feature_layer(config: Config) -> keras.layers.Layer:
    frames = {"n_fft": config.n_fft, "win_length": config.win_length, "hop_length": config.hop_length}
    if config.features == "mfcc":
        return features.MFCC(
            sample_rate=config.sample_rate, num_mfcc=config.num_mfcc, num_mels=config.num_mels, **frames
        )
    return features.LogMel(sample_rate=config.sample_rate, num_mels=config.num_mels, **frames)


def load_model(run_dir: str | Path) -> tuple[Config, keras.Model]:
    """Rebuild the network of a run, in float32, with the weights of its best epoch.

    Raises:
        UserError: The folder is no keyword-spotting run, or has no weights yet.
    """
    config = configs.load(Config, TASK, Path(run_dir) / "config.json")
    keras.config.set_dtype_policy("float32")
    model = build_model(config)
    runs.load_weights(model, run_dir)
    return config, model


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
