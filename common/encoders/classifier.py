"""Clip classifiers: the part shared by keyword spotting and speaker counting, from the waveform to the embedding.

Each task adds its head and its corpora.
"""

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path

import keras

from common import files
from common.augmentation.spectrogram import RandomEqualizer, SpecAugment, TimeStretch, VocalTractPerturbation
from common.encoders import ENCODERS, litert_embedding, litert_file, pretrained, speech_embedding
from common.encoders.config import ClassifierConfig, check_embedding
from common.encoders.embedding import SavedModelEmbedding
from common.errors import UserError
from common.features import choices
from common.seeds import stream_seed

# The folder of a run with the copied network of `--embedding`.
_EMBEDDING = "embedding"
# The layer whose output is the embedding, before the head.
ENCODED = "encoded"


def encode(
    config: ClassifierConfig,
    waveform: keras.KerasTensor,
    restore: Callable[[Path], tuple[ClassifierConfig, keras.Model]],
    embedding: str | Path | None = None,
) -> keras.KerasTensor:
    """Build the features, their augmentation and the encoder of a configuration.

    Args:
        config: The configuration.
        waveform: Shape `(batch, num_samples)`.
        restore: Loads a run of the task, for `--model=embedding`.
        embedding: For `--model=embedding`, the path of the network, if it differs from `config.embedding`.

    Returns:
        The embedding, shape `(batch, size)`.

    Raises:
        UserError: The network does not support the waveform, or `--embedding` is missing or unusable.
    """
    if config.model == "embedding":
        if embedding is None:
            check_embedding(config)
        hidden = _embed(config, Path(embedding or config.embedding), waveform, restore)
        hidden = keras.layers.Dropout(config.dropout)(hidden)
    else:
        hidden = _encode(config, waveform)
    return keras.layers.Identity(name=ENCODED)(hidden)


def _encode(config: ClassifierConfig, waveform: keras.KerasTensor) -> keras.KerasTensor:
    """Build one of `ENCODERS` on the waveform or on features, as it requires."""
    encoder = ENCODERS[config.model]
    hidden = waveform
    if encoder.takes == "spectrogram":
        hidden = choices.FEATURES[config.used_features](config)(waveform)
        for layer in _augmentation_layers(config):
            hidden = layer(hidden)
    accepted = inspect.signature(encoder.build).parameters
    options = {name: getattr(config, name, None) for name in accepted}
    try:
        return encoder.build(hidden, **{name: value for name, value in options.items() if value is not None})
    except ValueError as error:
        raise UserError(
            f"--model={config.model} does not support clips of {config.clip_seconds:g} s with these features ({error});"
            " increase --clip_seconds, or choose another --model"
        ) from error


def _augmentation_layers(config: ClassifierConfig) -> list[keras.layers.Layer]:
    """List the augmentation layers on the features, each with a different seed."""
    seeds = [stream_seed(config.seed, "classifier.augmentation", number) for number in range(4)]
    added = []
    if config.max_vocal_tract_warp:
        bands = choices.BANDS.get(config.used_features, {})
        added.append(VocalTractPerturbation(config.max_vocal_tract_warp, config.sample_rate, **bands, seed=seeds[0]))
    if config.max_time_stretch:
        added.append(TimeStretch(config.max_time_stretch, seed=seeds[1]))
    if config.equalizer_db:
        added.append(RandomEqualizer(config.equalizer_db, seed=seeds[2]))
    if config.max_time_mask or config.max_frequency_mask:
        added.append(SpecAugment(2, config.max_time_mask, 2, config.max_frequency_mask, seed=seeds[3]))
    return added


def _embed(config: ClassifierConfig, path: Path, waveform: keras.KerasTensor, restore: Callable) -> keras.KerasTensor:
    """Embed a waveform with the network of a run, with a SavedModel or with a LiteRT file."""
    if not _is_run(path):
        if not (path / "saved_model.pb").exists() and not litert_file.find(path):
            raise UserError(
                f"--embedding: {path} is neither a run directory (config.json, model.keras) "
                "nor a SavedModel (saved_model.pb) nor a LiteRT file (.tflite)"
            )
        options = {"fine_tune": config.fine_tune, "tensor": config.embedding_tensor}
        return ENCODERS["embedding"].build(waveform, path=path, **options)
    source, model = restore(path)
    if (source.sample_rate, source.num_samples) != (config.sample_rate, config.num_samples):
        raise UserError(
            f"--embedding: {path} takes {source.clip_seconds} s at {source.sample_rate} Hz; "
            f"give --clip_seconds={source.clip_seconds} --sample_rate={source.sample_rate}"
        )
    network = keras.Model(model.input, model.get_layer(ENCODED).output, name="embedding")
    if litert_embedding.find(network):
        litert_file.check_options(path, config.fine_tune, config.jit_compile)
    network.trainable = config.fine_tune
    # A frozen network runs in inference mode also in training: no dropout, no masks.
    return network(waveform, training=None if config.fine_tune else False)


def load_pretrained(model: keras.Model) -> None:
    """Load the weights of the speech embedding into a model for training; a run has its own.

    Raises:
        UserError: The extra `embedding` is not installed.
    """
    for layer in model.layers:
        if layer.name == speech_embedding.NETWORK:
            layer.set_weights(pretrained.weights())


def pretrained_variables(model: keras.Model) -> list[keras.Variable]:
    """Return the variables of the pretrained network that are trained; empty if there are none."""
    names = (speech_embedding.NETWORK, _EMBEDDING)
    return [
        variable
        for layer in model.layers
        if layer.name in names or isinstance(layer, SavedModelEmbedding)
        for variable in layer.trainable_variables
    ]


def keep_embedding(config: ClassifierConfig, run_dir: Path) -> Path | None:
    """Copy the network of `--embedding` into a run, so that the run is self-contained.

    From another run, only the files needed to rebuild the network are copied.

    Returns:
        Path of the copy; None for other models.
    """
    if config.model != "embedding":
        return None
    source, target = Path(config.embedding), run_dir / _EMBEDDING
    if target.exists():
        return target
    with files.atomic_folder(target) as temporary:
        if _is_run(source):
            for name in ("config.json", "model.keras"):
                shutil.copy(source / name, temporary / name)
            if (source / _EMBEDDING).exists():
                shutil.copytree(source / _EMBEDDING, temporary / _EMBEDDING)
        elif litert_file.find(source):
            shutil.copy(litert_file.find(source), temporary / litert_file.FILE)
        else:
            shutil.copytree(source, temporary, dirs_exist_ok=True)
    return target


def kept_embedding(run_dir: Path) -> Path | None:
    """Return the path of the network that `keep_embedding` copied into a run; None if there is none."""
    kept = run_dir / _EMBEDDING
    return kept if kept.exists() else None


def _is_run(path: Path) -> bool:
    return (path / "config.json").exists() and (path / "model.keras").exists()
