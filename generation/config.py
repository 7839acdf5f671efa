"""What a generator can be: its configuration and the named variants."""

import dataclasses

from common import corpora
from common.config import TrainingConfig, field
from common.errors import UserError
from common.features import lengths

TASK = "generation"
# How many samples are evaluated unless told.
NUM_SAMPLES = 256
MODELS = ("native", "dcgan", "specgan")
GENERATION_CORPORA = corpora.names(TASK)
LOSSES = ("bce", "hinge", "wgan_gp")
ON_COLLAPSE = ("restore", "stop", "ignore")
# What a network of transposed convolutions makes, frames by bands.
_SMALL = (32, 32)


@dataclasses.dataclass(frozen=True)
class Config(TrainingConfig):
    """Configuration of a generator; the defaults are a plain native one, the variants are recipes.

    A generator turns noise into a spectrogram in decibels, scaled to [-1, 1]; a discriminator tells such spectrograms
    from those of recordings. Both are trained by Adam at a constant rate.
    """

    DROPPED = ("optimizer", "schedule", "warmup_epochs", "weight_decay")

    corpus: str = field("synthetic", "where music comes from", choices=GENERATION_CORPORA)
    genre: tuple[str, ...] = field((), "genres to learn from, separated by commas; all unless given")
    split_rule: str = field(
        "official", "official splits tracks by a hash of their names, folds deals them", choices=("official", "folds")
    )
    num_folds: int = field(5, "folds of --split_rule=folds", minimum=3)
    fold: int = field(0, "the fold that is the test split; the next one is validation", minimum=0)
    num_songs: int = field(40, "songs of the synthetic corpus", minimum=6)
    song_seconds: float = field(15.0, "length of a song of the synthetic corpus, in seconds", minimum=2)
    excerpts: str = field(
        "random",
        "training hears excerpts from random places, or those that follow each other (consecutive)",
        choices=("random", "consecutive"),
    )

    sample_rate: int = field(22050, "sample rate in hertz", minimum=8000, maximum=192_000)
    clip_seconds: float = field(6.0, "length of an excerpt in seconds", minimum=0.5, maximum=60)
    features: str = field("mel", "bands of the mel scale, or bins of the Fourier transform", choices=("mel", "linear"))
    n_fft: int = field(400, "length of the Fourier transform in samples", minimum=64, maximum=16384)
    hop_length: int = field(200, "distance between frames in samples", minimum=16, maximum=16_384)
    num_mels: int = field(64, "mel bands", minimum=8, maximum=512)
    scaling: str = field(
        "range",
        "what is -1 and 1: the range of all training excerpts, or of each band three standard deviations around its mean",
        choices=("range", "bands"),
    )
    phase_iterations: int = field(64, "iterations of Griffin-Lim on the way back to audio", minimum=1, maximum=1000)

    model: str = field("native", "the pair of networks", choices=MODELS)
    width: int = field(32, "channels of the networks' finest level", minimum=1, maximum=1024)
    noise_dim: int = field(128, "numbers that the generator starts from, in each step of time", minimum=1, maximum=4096)
    style_dim: int = field(
        64, "of these, how many stay the same through all of a piece (native)", minimum=0, maximum=4096
    )
    noise: str = field("normal", "distribution of the noise", choices=("normal", "uniform"))
    discriminator_size: str = field(
        "native",
        "size at which DCGAN's 32x32 are compared: fakes enlarged to the spectrogram's size, or reals reduced to 32x32",
        choices=("native", "enlarged", "reduced"),
        formerly="picture",
    )
    spectral_norm: bool = field(False, "limit the discriminator's layers by their spectral norm")

    loss: str = field("hinge", "what the two networks play for", choices=LOSSES)
    real_label: float = field(1.0, "target of what should look real, with --loss=bce", minimum=0.5, maximum=1)
    discriminator_learning_rate: float = field(4e-4, "peak learning rate of the discriminator", minimum=0)
    beta_1: float = field(0.0, "Adam's decay of the mean", minimum=0, maximum=0.999)
    beta_2: float = field(0.99, "Adam's decay of the variance", minimum=0, maximum=0.99999)
    discriminator_steps: int = field(1, "steps of the discriminator for one of the generator", minimum=1, maximum=20)
    gradient_penalty: float = field(10.0, "weight of the gradient penalty, with --loss=wgan_gp", minimum=0)
    r1_weight: float = field(0.0, "weight of the squared gradient at reals (R1); 0 for none", minimum=0)
    r1_every: int = field(16, "steps from one R1 to the next", minimum=1)
    augment: str = field(
        "none",
        "change what the discriminator sees, real or not: none, fixed (at --augment_probability), or adaptive (as often"
        " as it knows the training excerpts by heart)",
        choices=("none", "fixed", "adaptive"),
    )
    augment_probability: float = field(0.0, "how likely each change is, to begin with", minimum=0, maximum=1)
    augment_target: float = field(0.6, "share of reals beyond doubt that adaptive change aims at", minimum=0, maximum=1)

    monitor_epochs: int = field(
        5, "epochs from one set of samples, and their distances, to the next", minimum=1, formerly="watch_epochs"
    )
    monitor_samples: int = field(128, "samples of such a set", minimum=16, formerly="watch_samples")
    on_collapse: str = field(
        "restore",
        "when samples collapse, come no nearer or repeat training excerpts: restore the best averaged weights and go on"
        " slower, stop, or ignore",
        choices=ON_COLLAPSE,
    )

    def __post_init__(self):
        """Check the fields, and those that depend on one another."""
        super().__post_init__()
        if self.fold >= self.num_folds:
            raise UserError(f"--fold: expected at most {self.num_folds - 1} with --num_folds={self.num_folds}")
        if self.style_dim > self.noise_dim:
            raise UserError(f"--style_dim: expected at most --noise_dim={self.noise_dim}, got {self.style_dim}")
        if self.hop_length > self.n_fft // 2:
            raise UserError(f"--hop_length: expected at most half of --n_fft={self.n_fft}, got {self.hop_length}")
        if self.discriminator_size != "native" and self.model != "dcgan":
            raise UserError(
                f"--discriminator_size={self.discriminator_size} is for --model=dcgan, whose pictures are 32x32"
            )
        if self.discriminator_size == "native" and self.model == "dcgan":
            raise UserError(
                "--model=dcgan makes 32x32; say how it meets reals: --discriminator_size=enlarged or reduced"
            )
        if self.model == "specgan" and (self.frames, self.bands) != (128, 128):
            raise UserError(
                f"--model=specgan makes 128 frames of 128 bands, the features have {self.frames} of {self.bands}; take"
                " those of --variant=specgan"
            )
        if self.model == "native" and (self.frames < 32 or self.bands % 32):
            raise UserError(
                f"--model=native doubles five times: {self.bands} bands of {self.frames} frames; expected a multiple of 32"
                " bands and at least 32 frames"
            )

    @property
    def step_examples(self) -> int:
        """How many excerpts a training step takes: a batch for each step of the discriminator."""
        return self.batch_size * self.discriminator_steps

    @property
    def num_samples(self) -> int:
        """Length of an excerpt."""
        return round(self.clip_seconds * self.sample_rate)

    @property
    def frames(self) -> int:
        """Frames of an excerpt's spectrogram."""
        frames = lengths.num_frames(self.num_samples, self.n_fft, self.hop_length)
        # An even number of bins and frames, as SpecGAN has them: the last of each is left out.
        return frames - 1 if self.features == "linear" else frames

    @property
    def bands(self) -> int:
        """Bands of a spectrogram."""
        return self.num_mels if self.features == "mel" else self.n_fft // 2

    @property
    def generated_size(self) -> tuple[int, int]:
        """Frames and bands of what the generator makes."""
        return _SMALL if self.model == "dcgan" else (self.frames, self.bands)

    @property
    def judged_size(self) -> tuple[int, int]:
        """Frames and bands of what the discriminator sees."""
        return _SMALL if self.discriminator_size == "reduced" else (self.frames, self.bands)


# The student report: a DCGAN of 32x32 pictures. Fakes are enlarged for the discriminator, or reals reduced: read to the
# letter its discriminator sees reals and fakes of different sizes.
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

# Donahue et al. (2019): 16,384 samples at 16 kHz, WGAN-GP.
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
    # Minutes on the synthetic corpus: `make train-generation`. Excerpts of half the length: twice as many steps in that time.
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
