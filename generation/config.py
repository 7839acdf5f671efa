"""Configuration of a generator, and the named variants."""

import dataclasses

from common import corpora
from common.config import TrainingConfig, field
from common.errors import UserError
from common.features import lengths

TASK = "generation"
# Default number of samples of an evaluation.
NUM_SAMPLES = 256
MODELS = ("native", "dcgan", "specgan")
GENERATION_CORPORA = corpora.names(TASK)
LOSSES = ("bce", "hinge", "wgan_gp")
ON_COLLAPSE = ("restore", "stop", "ignore")
# Output size of the DCGAN: frames, bands.
_SMALL = (32, 32)


@dataclasses.dataclass(frozen=True)
class Config(TrainingConfig):
    """Configuration of a generator; the defaults are a basic `native` model, the variants are training recipes.

    A generator maps noise to a spectrogram in decibels, scaled to [-1, 1]. A discriminator classifies spectrograms as
    generated or recorded. Both are trained with Adam at a constant learning rate.
    """

    DROPPED = ("optimizer", "schedule", "warmup_epochs", "weight_decay")

    corpus: str = field("synthetic", "corpus of the music", choices=GENERATION_CORPORA, group="data")
    genre: tuple[str, ...] = field((), "genres to train on, e.g. metal,rock; all genres if empty", group="data")
    split_rule: str = field(
        "official",
        "official (split by a hash of the track names) or folds (cross-validation)",
        choices=("official", "folds"),
    )
    num_folds: int = field(5, "number of folds with --split_rule=folds", minimum=3)
    fold: int = field(0, "index of the test fold; the next fold is the validation split", minimum=0)
    num_songs: int = field(40, "number of songs of the synthetic corpus", minimum=6)
    song_seconds: float = field(15.0, "length of a song of the synthetic corpus in seconds", minimum=2)
    excerpts: str = field(
        "random",
        "training excerpts from random positions, or consecutive without overlap",
        choices=("random", "consecutive"),
    )

    sample_rate: int = field(22050, "sample rate in hertz", minimum=8000, maximum=192_000, group="model")
    clip_seconds: float = field(6.0, "length of an excerpt in seconds", minimum=0.5, maximum=60)
    features: str = field(
        "mel", "frequency axis of the spectrograms, mel bands or linear FFT bins", choices=("mel", "linear")
    )
    n_fft: int = field(400, "FFT length in samples", minimum=64, maximum=16384)
    hop_length: int = field(200, "hop between frames in samples", minimum=16, maximum=16_384)
    num_mels: int = field(64, "number of mel bands", minimum=8, maximum=512)
    scaling: str = field(
        "range",
        "decibels scaled to [-1, 1], the range of all training excerpts or mean ± 3 standard deviations of each band",
        choices=("range", "bands"),
    )
    phase_iterations: int = field(64, "iterations of Griffin-Lim when audio is generated", minimum=1, maximum=1000)

    model: str = field("native", "architecture of generator and discriminator", choices=MODELS)
    width: int = field(32, "channels of the level with the highest resolution", minimum=1, maximum=1024)
    noise_dim: int = field(128, "noise values per time step, the input of the generator", minimum=1, maximum=4096)
    style_dim: int = field(
        64, "noise values that are constant over a piece, at most --noise_dim (native)", minimum=0, maximum=4096
    )
    noise: str = field("normal", "distribution of the noise", choices=("normal", "uniform"))
    discriminator_size: str = field(
        "native",
        "input size of the discriminator with dcgan, enlarged (fakes to full size) or reduced (reals to 32x32)",
        choices=("native", "enlarged", "reduced"),
        formerly="picture",
    )
    spectral_norm: bool = field(False, "use spectral normalisation in the discriminator (native)")

    loss: str = field("hinge", "adversarial loss", choices=LOSSES, group="training")
    real_label: float = field(
        1.0, "target label of reals with --loss=bce, e.g. 0.9 for label smoothing", minimum=0.5, maximum=1
    )
    discriminator_learning_rate: float = field(4e-4, "learning rate of the discriminator", minimum=0)
    beta_1: float = field(0.0, "beta_1 of Adam, the decay of the first moment", minimum=0, maximum=0.999)
    beta_2: float = field(0.99, "beta_2 of Adam, the decay of the second moment", minimum=0, maximum=0.99999)
    discriminator_steps: int = field(1, "discriminator steps per generator step", minimum=1, maximum=20)
    gradient_penalty: float = field(10.0, "weight of the gradient penalty with --loss=wgan_gp", minimum=0)
    r1_weight: float = field(0.0, "weight of the R1 penalty; 0 turns it off", minimum=0)
    r1_every: int = field(16, "steps between R1 penalties (lazy regularisation)", minimum=1)
    augment: str = field(
        "none",
        "augmentation of the discriminator input, fixed (at --augment_probability) or adaptive (more if it overfits)",
        choices=("none", "fixed", "adaptive"),
        group="augmentation",
    )
    augment_probability: float = field(
        0.0, "probability of each augmentation; with adaptive the initial value", minimum=0, maximum=1
    )
    augment_target: float = field(
        0.6, "target of adaptive augmentation, the mean sign of the logits of reals", minimum=0, maximum=1
    )

    monitor_epochs: int = field(
        5, "epochs between monitoring samples", minimum=1, formerly="watch_epochs", group="training"
    )
    monitor_samples: int = field(128, "number of monitoring samples", minimum=16, formerly="watch_samples")
    on_collapse: str = field(
        "restore",
        "on collapse, memorisation or no progress, restore the best weights at half the learning rate, stop or ignore",
        choices=ON_COLLAPSE,
    )

    def __post_init__(self):
        """Check each field, and the combinations of fields."""
        super().__post_init__()
        if self.fold >= self.num_folds:
            raise UserError(f"--fold: expected at most {self.num_folds - 1} with --num_folds={self.num_folds}")
        if self.style_dim > self.noise_dim:
            raise UserError(f"--style_dim: expected at most --noise_dim={self.noise_dim}, got {self.style_dim}")
        if self.hop_length > self.n_fft // 2:
            raise UserError(f"--hop_length: expected at most half of --n_fft={self.n_fft}, got {self.hop_length}")
        if self.discriminator_size != "native" and self.model != "dcgan":
            raise UserError(
                f"--discriminator_size={self.discriminator_size} is for --model=dcgan; remove it, or use --model=dcgan"
            )
        if self.discriminator_size == "native" and self.model == "dcgan":
            raise UserError("--model=dcgan generates 32x32 spectrograms; use --discriminator_size=enlarged or reduced")
        if self.model == "specgan" and (self.frames, self.bands) != (128, 128):
            raise UserError(
                f"--model=specgan needs 128 frames and 128 bands, got {self.frames} frames and {self.bands} bands; use"
                " the features of --variant=specgan"
            )
        if self.model == "native" and (self.frames < 32 or self.bands % 32):
            raise UserError(
                f"--model=native needs at least 32 frames and a multiple of 32 bands, got {self.frames} frames and"
                f" {self.bands} bands; change --clip_seconds, --num_mels or --n_fft"
            )

    @property
    def step_examples(self) -> int:
        """Number of excerpts in a training step: one batch per discriminator step."""
        return self.batch_size * self.discriminator_steps

    @property
    def num_samples(self) -> int:
        """Length of an excerpt in samples."""
        return round(self.clip_seconds * self.sample_rate)

    @property
    def frames(self) -> int:
        """Number of frames in the spectrogram of an excerpt."""
        frames = lengths.num_frames(self.num_samples, self.n_fft, self.hop_length)
        # As in SpecGAN, the last frame and the last bin are dropped, so that both numbers are even.
        return frames - 1 if self.features == "linear" else frames

    @property
    def bands(self) -> int:
        """Number of bands in a spectrogram."""
        return self.num_mels if self.features == "mel" else self.n_fft // 2

    @property
    def generated_size(self) -> tuple[int, int]:
        """Frames and bands of the generator's output."""
        return _SMALL if self.model == "dcgan" else (self.frames, self.bands)

    @property
    def judged_size(self) -> tuple[int, int]:
        """Frames and bands of the discriminator's input."""
        return _SMALL if self.discriminator_size == "reduced" else (self.frames, self.bands)


# The student report: a DCGAN with 32x32 spectrograms. In the report the discriminator gets reals and fakes of different
# sizes; here fakes are enlarged, or reals are reduced.
_REPORT = Config(
    epochs=200,
    batch_size=8,
    learning_rate=2e-4,
    discriminator_learning_rate=2e-4,
    beta_1=0.5,
    beta_2=0.999,
    excerpts="consecutive",
    model="dcgan",
    discriminator_size="enlarged",
    noise_dim=100,
    style_dim=100,
    loss="bce",
    real_label=0.9,
    on_collapse="ignore",
)

# SpecGAN, Donahue et al. (2019): 16,384 samples at 16 kHz, WGAN-GP.
_SPECGAN = Config(
    epochs=60,
    epoch_examples=1280,
    batch_size=64,
    learning_rate=1e-4,
    discriminator_learning_rate=1e-4,
    beta_1=0.5,
    beta_2=0.9,
    discriminator_steps=5,
    sample_rate=16_000,
    clip_seconds=1.024,
    features="linear",
    n_fft=256,
    hop_length=128,
    scaling="bands",
    model="specgan",
    noise_dim=100,
    style_dim=100,
    noise="uniform",
    loss="wgan_gp",
)

DEFAULT = Config(
    epochs=60,
    epoch_examples=400,
    batch_size=8,
    learning_rate=1e-3,
    ema_momentum=0.99,
    width=16,
    spectral_norm=True,
    r1_weight=1.0,
    augment="adaptive",
    monitor_epochs=6,
)

VARIANTS = {
    "default": DEFAULT,
    # Trains in minutes on the synthetic corpus: `make train-generation`. Shorter excerpts allow twice as many steps.
    "synthetic": dataclasses.replace(DEFAULT, epochs=18, monitor_epochs=6, clip_seconds=3.0),
    "report": _REPORT,
    "report-reduced": dataclasses.replace(_REPORT, discriminator_size="reduced"),
    "specgan": _SPECGAN,
    "tiny": dataclasses.replace(
        DEFAULT,
        epochs=2,
        epoch_examples=16,
        clip_seconds=1.0,
        num_mels=32,
        width=4,
        noise_dim=8,
        style_dim=4,
        num_songs=6,
        song_seconds=4.0,
        ema_momentum=0.9,
        monitor_epochs=1,
        monitor_samples=16,
        phase_iterations=4,
    ),
}
