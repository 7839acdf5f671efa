"""Classifiers of clips: what tasks that name a clip's class share, from the waveform to the embedding.

A task adds its own head and its own corpora: keyword spotting answers with words, speaker counting with counts.
"""

import dataclasses
import inspect
import shutil
from collections.abc import Callable
from pathlib import Path

import keras

from common import features, files
from common.augmentation.spectrogram import RandomEqualizer, SpecAugment, TimeStretch, VocalTractPerturbation
from common.config import TrainingConfig, field
from common.encoders import ENCODERS
from common.errors import UserError

# The folder of a run that holds the network of `--embedding`.
_EMBEDDING = "embedding"
# The layer whose output is the embedding, whatever head follows it.
_ENCODED = "encoded"


@dataclasses.dataclass(frozen=True)
class ClassifierConfig(TrainingConfig):
    """What a task that classifies clips has beside what every task has."""

    sample_rate: int = field(
        16000, "rate the model works at, in hertz; files of any rate are resampled", minimum=1000, maximum=192_000
    )
    clip_seconds: float = field(1.0, "length of a clip in seconds", minimum=0.1, maximum=60)
    features: str = field(
        "log_mel",
        "what a network of spectrograms sees; spectrogram_db are decibels of linear frequencies, magnitude is"
        " standardised clip by clip",
        choices=("log_mel", "mfcc", "spectrogram_db", "magnitude"),
    )
    n_fft: int = field(512, "samples of the Fourier transform", minimum=16, maximum=65_536)
    win_length: int = field(480, "samples of the analysis window", minimum=16, maximum=65_536)
    hop_length: int = field(160, "samples between frames", minimum=1, maximum=65_536)
    num_mels: int = field(40, "mel bands", minimum=1, maximum=1024)
    num_mfcc: int = field(13, "cepstral coefficients, with --features=mfcc", minimum=1, maximum=1024)

    model: str = field("bc_resnet", "the network", choices=tuple(ENCODERS))
    tau: float = field(2.0, "width of BC-ResNet", minimum=0.5, maximum=16)
    width: float = field(
        1.0, "width of TC-ResNet, CNN-TDNN and the residual CNN, as a multiple", minimum=0.25, maximum=8
    )
    embedding: str = field(
        "",
        "with --model=embedding: a run directory, whose network is taken without its last layer, or a SavedModel that"
        " takes a waveform at --sample_rate (16000 for YAMNet)",
    )
    fine_tune: bool = field(False, "train the network of --embedding too, not only the layer on top of it")
    dropout: float = field(0.1, "dropout inside the network", minimum=0, maximum=0.9)
    label_smoothing: float = field(0.0, "share of a label spread over the other classes", minimum=0, maximum=0.5)

    noise_dir: str = field("", "folder of background noise for training (any audio files, or the layout of ESC-50)")
    max_speed: float = field(
        0.15, "training clips are played up to this share faster or slower", minimum=0, maximum=0.5
    )
    noise_probability: float = field(0.5, "share of training clips that get background noise", minimum=0, maximum=1)
    min_snr_db: float = field(10.0, "lowest signal-to-noise ratio drawn, in dB")
    max_snr_db: float = field(40.0, "highest signal-to-noise ratio drawn, in dB")
    reverberation_probability: float = field(0.0, "share of training clips put into a room", minimum=0, maximum=1)
    max_vocal_tract_warp: float = field(
        0.0, "frequencies of training spectrograms move by up to this share: other vocal tracts", minimum=0, maximum=0.5
    )
    max_time_stretch: float = field(
        0.0, "training spectrograms get up to this share faster or slower, pitch kept", minimum=0, maximum=0.5
    )
    equalizer_db: float = field(
        0.0, "deviation of a random curve over the frequencies of training spectrograms, in dB", minimum=0, maximum=20
    )
    max_time_mask: int = field(10, "longest time mask of SpecAugment, in frames; 0 for none", minimum=0)
    max_frequency_mask: int = field(3, "widest frequency mask of SpecAugment, in bins; 0 for none", minimum=0)

    def __post_init__(self):
        """Check the fields, and those that depend on one another."""
        super().__post_init__()
        if self.win_length > self.n_fft:
            raise UserError(f"--win_length: expected at most --n_fft={self.n_fft}, got {self.win_length}")
        if self.num_mfcc > self.num_mels:
            raise UserError(f"--num_mfcc: expected at most --num_mels={self.num_mels}, got {self.num_mfcc}")
        for name in ("max_vocal_tract_warp", "equalizer_db"):
            if getattr(self, name) and self.features != "log_mel":
                raise UserError(f"--{name}: works on log-mel spectrograms; use --features=log_mel, or --{name}=0")
        if self.min_snr_db > self.max_snr_db:
            raise UserError(f"--min_snr_db: expected at most --max_snr_db={self.max_snr_db}, got {self.min_snr_db}")
        if self.embedding and self.model != "embedding":
            raise UserError(f"--embedding is for --model=embedding, not --model={self.model}")

    @property
    def num_samples(self) -> int:
        """Samples of a clip."""
        return round(self.clip_seconds * self.sample_rate)


def encode(
    config: ClassifierConfig,
    waveform: keras.KerasTensor,
    restore: Callable[[Path], tuple[ClassifierConfig, keras.Model]],
    embedding: str | Path | None = None,
) -> keras.KerasTensor:
    """Build the features, their augmentation and the encoder that a configuration names.

    Args:
        config: What to build.
        waveform: Shape `(batch, num_samples)`.
        restore: Loads a run of the task, for `--model=embedding`.
        embedding: With `--model=embedding`, where the network is that `config.embedding` names, if no longer there.

    Returns:
        The embedding, shape `(batch, size)`.

    Raises:
        UserError: The network does not take such a waveform, or `--embedding` names none that does.
    """
    if config.model == "embedding":
        if not config.embedding:
            raise UserError("--model=embedding needs --embedding, a run directory or a SavedModel")
        hidden = _embed(config, Path(embedding or config.embedding), waveform, restore)
        hidden = keras.layers.Dropout(config.dropout)(hidden)
    else:
        hidden = _encode(config, waveform)
    return keras.layers.Identity(name=_ENCODED)(hidden)


def _encode(config: ClassifierConfig, waveform: keras.KerasTensor) -> keras.KerasTensor:
    """Build one of `ENCODERS` on what it takes."""
    encoder = ENCODERS[config.model]
    hidden = waveform
    if encoder.takes == "spectrogram":
        hidden = feature_layer(config)(waveform)
        if config.features == "magnitude":
            hidden = _standardize(hidden)
        for layer in _augmentation_layers(config):
            hidden = layer(hidden)
    accepted = inspect.signature(encoder.build).parameters
    options = {name: getattr(config, name, None) for name in accepted}
    try:
        return encoder.build(hidden, **{name: value for name, value in options.items() if value is not None})
    except ValueError as error:
        raise UserError(
            f"--model={config.model} does not take clips of {config.clip_seconds:g} s in these features ({error});"
            " give longer --clip_seconds, or another --model"
        ) from error


def feature_layer(config: ClassifierConfig) -> keras.layers.Layer:
    """Return the layer from a waveform `(batch, num_samples)` to the features `(batch, frames, bins)`."""
    frames = {"n_fft": config.n_fft, "win_length": config.win_length, "hop_length": config.hop_length}
    if config.features == "mfcc":
        return features.MFCC(
            sample_rate=config.sample_rate, num_mfcc=config.num_mfcc, num_mels=config.num_mels, **frames
        )
    if config.features == "log_mel":
        return features.LogMel(sample_rate=config.sample_rate, num_mels=config.num_mels, **frames)
    return features.Spectrogram(output="db" if config.features == "spectrogram_db" else "magnitude", **frames)


def _standardize(spectrogram: keras.KerasTensor) -> keras.KerasTensor:
    """Give every clip mean 0 and deviation 1: what is left says nothing about its level."""
    mean = keras.ops.mean(spectrogram, axis=(1, 2), keepdims=True)
    deviation = keras.ops.std(spectrogram, axis=(1, 2), keepdims=True)
    return (spectrogram - mean) / (deviation + keras.config.epsilon())


def _augmentation_layers(config: ClassifierConfig) -> list[keras.layers.Layer]:
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


def _embed(config: ClassifierConfig, path: Path, waveform: keras.KerasTensor, restore: Callable) -> keras.KerasTensor:
    """Embed a waveform by the network of a run, or by a SavedModel."""
    if not _is_run(path):
        if not (path / "saved_model.pb").exists():
            raise UserError(
                f"--embedding: {path} is neither a run directory (config.json, model.keras) "
                "nor a SavedModel (saved_model.pb)"
            )
        return ENCODERS["embedding"].build(waveform, path=path, fine_tune=config.fine_tune)
    source, model = restore(path)
    if (source.sample_rate, source.num_samples) != (config.sample_rate, config.num_samples):
        raise UserError(
            f"--embedding: {path} takes {source.clip_seconds} s at {source.sample_rate} Hz; "
            f"give --clip_seconds={source.clip_seconds} --sample_rate={source.sample_rate}"
        )
    network = keras.Model(model.input, model.get_layer(_ENCODED).output, name="embedding")
    network.trainable = config.fine_tune
    # Frozen, it computes in training what it computes afterwards: no dropout, no masks.
    return network(waveform, training=None if config.fine_tune else False)


def keep_embedding(config: ClassifierConfig, run_dir: Path) -> Path | None:
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
    with files.atomic_folder(target) as temporary:
        if _is_run(source):
            for name in ("config.json", "model.keras"):
                shutil.copy(source / name, temporary / name)
            if (source / _EMBEDDING).exists():
                shutil.copytree(source / _EMBEDDING, temporary / _EMBEDDING)
        else:
            shutil.copytree(source, temporary, dirs_exist_ok=True)
    return target


def kept_embedding(run_dir: Path) -> Path | None:
    """Return where a run holds the network that `keep_embedding` copied; None if it has none."""
    kept = run_dir / _EMBEDDING
    return kept if kept.exists() else None


def _is_run(path: Path) -> bool:
    return (path / "config.json").exists() and (path / "model.keras").exists()
