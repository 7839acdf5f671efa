"""Options of clip classifiers: features, network and augmentation."""

import dataclasses
from pathlib import Path

from common.config import OptimizerConfig, field
from common.encoders import ENCODERS, litert_file, pretrained
from common.errors import UserError
from common.features.choices import FEATURES, SPEECH_RATE


@dataclasses.dataclass(frozen=True)
class ClassifierConfig(OptimizerConfig):
    """Options of tasks that classify clips, in addition to those of all tasks."""

    sample_rate: int = field(
        16000,
        "sample rate of the model in hertz; files are resampled to it",
        minimum=1000,
        maximum=192_000,
        group="model",
    )
    clip_seconds: float = field(1.0, "length of a clip in seconds", minimum=0.1, maximum=60)
    features: str = field(
        "log_mel",
        "input features of spectrogram networks; speech_embedding always takes speech_mel; spectrogram_db is a"
        " linear-frequency spectrogram in dB, magnitude is standardised per clip",
        choices=tuple(FEATURES),
    )
    n_fft: int = field(512, "length of the FFT in samples", minimum=16, maximum=65_536)
    win_length: int = field(480, "length of the analysis window in samples", minimum=16, maximum=65_536)
    hop_length: int = field(160, "hop between frames in samples", minimum=1, maximum=65_536)
    num_mels: int = field(40, "number of mel bands", minimum=1, maximum=1024)
    num_mfcc: int = field(13, "number of cepstral coefficients, for --features=mfcc", minimum=1, maximum=1024)

    model: str = field("bc_resnet", "network architecture", choices=tuple(ENCODERS))
    tau: float = field(2.0, "width factor of BC-ResNet", minimum=0.5, maximum=16)
    width: float = field(1.0, "channel multiplier of TC-ResNet, CNN-TDNN and the residual CNN", minimum=0.25, maximum=8)
    embedding: str = field(
        "",
        "pretrained network for --model=embedding: a run directory (used without its last layer), or a SavedModel or"
        " LiteRT file (.tflite) that takes a waveform. A file does not tell its sample rate: it must be --sample_rate"
        " (16000 for YAMNet)",
    )
    embedding_tensor: str = field(
        "",
        "with a LiteRT file as --embedding: the name of the tensor that is the embedding, or its end, such as"
        " global_average_pooling2d/Mean; if empty, the first output",
    )
    fine_tune: bool = field(
        False, "also train the pretrained network of --model=embedding or speech_embedding, not only the new layers"
    )
    fine_tune_rate: float = field(
        1.0,
        "with --fine_tune: learning rate of the pretrained network, as a fraction of --learning_rate",
        minimum=0,
        maximum=1,
    )
    dropout: float = field(0.1, "dropout rate of the network", minimum=0, maximum=0.9)
    label_smoothing: float = field(0.0, "target probability spread over the other classes", minimum=0, maximum=0.5)

    noise_dir: str = field(
        "", "folder of background noise for training (any audio files, or ESC-50)", group="augmentation"
    )
    max_speed: float = field(
        0.15,
        "largest random speed change of training clips, e.g. 0.15 for 15 % faster or slower",
        minimum=0,
        maximum=0.5,
    )
    noise_probability: float = field(0.5, "probability of background noise in a training clip", minimum=0, maximum=1)
    min_snr_db: float = field(10.0, "lowest signal-to-noise ratio of background noise, in dB")
    max_snr_db: float = field(40.0, "highest signal-to-noise ratio of background noise, in dB")
    reverberation_probability: float = field(
        0.0, "probability of reverberation in a training clip", minimum=0, maximum=1
    )
    max_vocal_tract_warp: float = field(
        0.0, "largest random frequency warp of training spectrograms, e.g. 0.1 for 10 %", minimum=0, maximum=0.5
    )
    max_time_stretch: float = field(
        0.0,
        "largest random time stretch of training spectrograms, e.g. 0.1 for 10 %; the pitch is kept",
        minimum=0,
        maximum=0.5,
    )
    equalizer_db: float = field(
        0.0, "standard deviation of a random equalizer on training spectrograms, in dB", minimum=0, maximum=20
    )
    max_time_mask: int = field(10, "longest time mask of SpecAugment, in frames; 0 for none", minimum=0)
    max_frequency_mask: int = field(3, "widest frequency mask of SpecAugment, in bins; 0 for none", minimum=0)

    def __post_init__(self):
        """Check the fields and their combinations."""
        super().__post_init__()
        if self.win_length > self.n_fft:
            raise UserError(f"--win_length: expected at most --n_fft={self.n_fft}, got {self.win_length}")
        if self.num_mfcc > self.num_mels:
            raise UserError(f"--num_mfcc: expected at most --num_mels={self.num_mels}, got {self.num_mfcc}")
        for name in ("max_vocal_tract_warp", "equalizer_db"):
            if getattr(self, name) and self.used_features not in ("log_mel", "speech_mel"):
                raise UserError(f"--{name}: is for log-mel spectrograms only; use --features=log_mel, or --{name}=0")
        if self.used_features == "speech_mel" and self.sample_rate != SPEECH_RATE:
            raise UserError(f"--sample_rate: speech_mel is for {SPEECH_RATE}, got {self.sample_rate}")
        if self.min_snr_db > self.max_snr_db:
            raise UserError(f"--min_snr_db: expected at most --max_snr_db={self.max_snr_db}, got {self.min_snr_db}")
        if self.embedding and self.model != "embedding":
            raise UserError(f"--embedding is for --model=embedding, not --model={self.model}")
        if self.embedding_tensor and self.model != "embedding":
            raise UserError(f"--embedding_tensor is for --model=embedding, not --model={self.model}")

    @property
    def used_features(self) -> str:
        """The features of the network: those of `features`, unless it takes only its own."""
        return ENCODERS[self.model].features or self.features

    @property
    def num_samples(self) -> int:
        """Samples per clip."""
        return round(self.clip_seconds * self.sample_rate)


def check_embedding(config: ClassifierConfig) -> None:
    """Check that the pretrained network of `--model=embedding` and `--model=speech_embedding` is there.

    Raises:
        UserError: `--embedding` is not given or a LiteRT file that cannot be used, or the extra `embedding` is not
            installed.
    """
    if config.model == "speech_embedding":
        pretrained.check_installed()
    if config.model != "embedding":
        return
    if not config.embedding:
        raise UserError("--model=embedding needs --embedding, a run directory, a SavedModel or a LiteRT file")
    file = litert_file.find(config.embedding)
    if file:
        litert_file.check_options(file, config.fine_tune, config.jit_compile)
        litert_file.cut(file, config.embedding_tensor, config.num_samples)
    elif config.embedding_tensor and Path(config.embedding).exists():
        raise UserError(f"--embedding_tensor is for a LiteRT file; {config.embedding} is a folder without one")
