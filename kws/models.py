"""Keyword spotting networks: waveform in, probabilities out."""

import inspect
import shutil
import uuid
from pathlib import Path

import keras

from common import config as configs
from common import features, runs
from common.encoders import ENCODERS
from common.errors import UserError
from common.spectrogram_augment import RandomEqualizer, SpecAugment, TimeStretch, VocalTractPerturbation
from kws.config import TASK, Config

MODELS = tuple(ENCODERS)
# The folder of a run that holds the network of `--embedding`.
_EMBEDDING = "embedding"


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
    hidden = waveform
    encoder = ENCODERS[config.model]
    if encoder.takes == "spectrogram":
        hidden = _feature_layer(config)(waveform)
        for layer in _augmentation_layers(config):
            hidden = layer(hidden)
    if config.model == "embedding":
        if not config.embedding:
            raise UserError("--model=embedding needs --embedding, a run directory or a SavedModel")
        hidden = keras.layers.Dropout(config.dropout)(_embed(config, Path(embedding or config.embedding), hidden))
    else:
        accepted = inspect.signature(encoder.build).parameters
        options = {name: getattr(config, name) for name in ("tau", "width", "dropout") if name in accepted}
        hidden = encoder.build(hidden, **options)
    # Probabilities in half precision would round the best of them to 1.
    outputs = keras.layers.Dense(len(config.labels), activation="softmax", dtype="float32", name="probabilities")(
        hidden
    )
    return keras.Model(waveform, outputs, name=config.model)


def _feature_layer(config: Config) -> keras.layers.Layer:
    frames = {"n_fft": config.n_fft, "win_length": config.win_length, "hop_length": config.hop_length}
    if config.features == "mfcc":
        return features.MFCC(
            sample_rate=config.sample_rate, num_mfcc=config.num_mfcc, num_mels=config.num_mels, **frames
        )
    return features.LogMel(sample_rate=config.sample_rate, num_mels=config.num_mels, **frames)


def _embed(config: Config, path: Path, waveform: keras.KerasTensor) -> keras.KerasTensor:
    """Embed a waveform by the network of a run, or by a SavedModel."""
    if not _is_run(path):
        if not (path / "saved_model.pb").exists():
            raise UserError(
                f"--embedding: {path} is neither a run directory (config.json, model.keras) "
                "nor a SavedModel (saved_model.pb)"
            )
        return ENCODERS["embedding"].build(waveform, path=path, fine_tune=config.fine_tune)
    source, model = _restore(path)
    if (source.sample_rate, source.num_samples) != (config.sample_rate, config.num_samples):
        raise UserError(
            f"--embedding: {path} takes {source.clip_seconds} s at {source.sample_rate} Hz; "
            f"give --clip_seconds={source.clip_seconds} --sample_rate={source.sample_rate}"
        )
    network = keras.Model(model.input, model.layers[-1].input, name="embedding")
    network.trainable = config.fine_tune
    # Frozen, it computes in training what it computes afterwards: no dropout, no masks.
    return network(waveform, training=None if config.fine_tune else False)


def keep_embedding(config: Config, run_dir: Path) -> Path | None:
    """Copy the network that `--embedding` names into a run, so that the run needs nothing else.

    Of another run only what rebuilds its network is copied.

    Returns:
        Where it lies in the run; None for other models.

    """
    if config.model != "embedding":
        return None
    source, target = Path(config.embedding), run_dir / _EMBEDDING
    if target.exists():
        return target
    temporary = run_dir / f".{_EMBEDDING}.{uuid.uuid4().hex[:8]}"
    if _is_run(source):
        temporary.mkdir(parents=True)
        for name in ("config.json", "model.keras"):
            shutil.copy(source / name, temporary / name)
        if (source / _EMBEDDING).exists():
            shutil.copytree(source / _EMBEDDING, temporary / _EMBEDDING)
    else:
        shutil.copytree(source, temporary)
    temporary.rename(target)
    return target


def _is_run(path: Path) -> bool:
    return (path / "config.json").exists() and (path / "model.keras").exists()


def _augmentation_layers(config: Config) -> list[keras.layers.Layer]:
    """List the layers that change the features in training, each with a seed of its own."""
    seed = 10 * config.seed
    added = []
    if config.max_vocal_tract_warp:
        added.append(VocalTractPerturbation(config.max_vocal_tract_warp, config.sample_rate, seed=seed + 1))
    if config.max_time_stretch:
        added.append(TimeStretch(config.max_time_stretch, seed=seed + 2))
    if config.equalizer_db:
        added.append(RandomEqualizer(config.equalizer_db, seed=seed + 3))
    if config.max_time_mask or config.max_frequency_mask:
        added.append(SpecAugment(2, config.max_time_mask, 2, config.max_frequency_mask, seed=seed + 4))
    return added


def load_model(run_dir: str | Path) -> tuple[Config, keras.Model]:
    """Rebuild the network of a run, in float32, with the weights of its best epoch.

    Raises:
        UserError: The folder is no keyword-spotting run, or has no weights yet.
    """
    keras.config.set_dtype_policy("float32")
    return _restore(Path(run_dir))


def _restore(run_dir: Path) -> tuple[Config, keras.Model]:
    """Rebuild the network of a run under the policy that is set."""
    config = configs.load(Config, TASK, run_dir / "config.json")
    kept = run_dir / _EMBEDDING
    model = build_model(config, kept if kept.exists() else None)
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
    return keras.Model(waveform, keras.layers.Average()(answers), name=f"{model.name}_shifted")


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
