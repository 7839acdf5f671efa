"""What can be configured of a classifier of clips, its features and its network."""

import dataclasses

from common.config import OptimizerConfig, field
from common.encoders import ENCODERS
from common.errors import UserError
from common.features.choices import FEATURES


@dataclasses.dataclass(frozen=True)
class ClassifierConfig(OptimizerConfig):
    """What a task that classifies clips has beside what every task has."""

    sample_rate: int = field(
        16000,
        "sample rate of the model in hertz; files of other rates are resampled",
        minimum=1000,
        maximum=192_000,
        group="model",
    )
    clip_seconds: float = field(1.0, "length of a clip in seconds", minimum=0.1, maximum=60)
    features: str = field(
        "log_mel",
        "what a network of spectrograms sees; spectrogram_db are decibels of linear frequencies, magnitude is"
        " standardised clip by clip",
        choices=tuple(FEATURES),
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

    noise_dir: str = field(
        "", "folder of background noise for training (any audio files, or the layout of ESC-50)", group="augmentation"
    )
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
