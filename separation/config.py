"""What a separator can be: its configuration and the named variants."""

import dataclasses

from common import corpora
from common.config import OptimizerConfig, field
from common.corpora.stem_names import ACCOMPANIMENT, MIXTURE
from common.errors import UserError, nearest

TASK = "separation"
MODELS = ("unet", "tfc_tdf")
LOSSES = ("bce", "magnitude_l1", "waveform_l1", "si_sdr", "multi_stft")
SEPARATION_CORPORA = corpora.names(TASK)
_FFT_MS = 64
_SHORTEST_FFT = 64


@dataclasses.dataclass(frozen=True)
class Config(OptimizerConfig):
    """Configuration of a separator; the defaults are those of the variant `default`.

    A window of the mixture is turned into a spectrogram inside the model, a network estimates each stem's, and the
    stems come out as waveforms.
    """

    corpus: str = field("synthetic", "where songs come from", choices=SEPARATION_CORPORA)
    stems: tuple[str, ...] = field(
        ("vocals", ACCOMPANIMENT),
        "what a song is taken apart into; accompaniment is all that the others are not",
    )
    sample_rate: int = field(0, "sample rate in hertz; 0 for that of the corpus", minimum=0, maximum=192_000)
    num_channels: int = field(0, "1 mono, 2 stereo, 0 as the corpus is", minimum=0, maximum=2, formerly="channels")
    split_rule: str = field(
        "official",
        "official keeps the corpus's own split, else one by singers or tracks; random divides windows of all tracks,"
        " 81/9/10 %, as in the report; folds deals singers or tracks",
        choices=("official", "random", "folds"),
    )
    num_folds: int = field(5, "folds of --split_rule=folds", minimum=3)
    fold: int = field(0, "the fold that is the test split; the next one is validation", minimum=0)
    num_songs: int = field(48, "songs of the synthetic corpus", minimum=6)
    song_seconds: float = field(12.0, "length of a song of the synthetic corpus, in seconds", minimum=2)

    n_fft: int = field(
        0,
        "length of the Fourier transform in samples; 0 for the longest power of two within 64 ms",
        minimum=0,
        maximum=16384,
    )
    hop_length: int = field(
        0, "distance between frames in samples; 0 for a quarter of --n_fft", minimum=0, maximum=16_384
    )
    num_frames: int = field(128, "frames of the window that the network sees at once", minimum=16, maximum=8192)

    model: str = field("tfc_tdf", "the network", choices=MODELS)
    depth: int = field(3, "how often the network halves time and frequency", minimum=1, maximum=8)
    width: int = field(16, "channels of the network's first level", minimum=1, maximum=1024)
    growth: int = field(16, "channels that each level adds (tfc_tdf)", minimum=0, maximum=1024)
    subbands: int = field(8, "bands of the spectrum that are folded into channels (tfc_tdf)", minimum=1, maximum=64)
    blocks: int = field(1, "blocks on each level, down and up (tfc_tdf)", minimum=1, maximum=32)
    bottleneck: int = field(4, "by how much a frame's frequencies are squeezed (tfc_tdf)", minimum=1, maximum=1024)
    dropout: float = field(0.0, "dropout rate", minimum=0, maximum=0.9)
    mask: str = field(
        "complex",
        "what the network answers: sigmoid (a mask in 0 to 1 for each stem by itself), binary (the same, cut at 0.5),"
        " ratio (each stem's share of the power), softmax (masks that sum to 1), complex (masks that turn phases too), or"
        " spectrum (the stems' spectra themselves)",
        choices=("sigmoid", "binary", "ratio", "softmax", "complex", "spectrum"),
    )
    loss: tuple[str, ...] = field(
        ("waveform_l1", "multi_stft"), f"what is minimised, the sum of any of {', '.join(LOSSES)}"
    )

    remix_probability: float = field(
        0.0,
        "fraction of training examples whose stems are from different songs",
        minimum=0,
        maximum=1,
        formerly="mix_probability",
    )
    min_gain: float = field(1.0, "least factor on a stem's amplitude in training", minimum=0)
    max_gain: float = field(1.0, "largest factor on a stem's amplitude in training", minimum=0)
    swap_probability: float = field(0.0, "share of stems whose channels change sides", minimum=0, maximum=1)
    flip_probability: float = field(0.0, "share of stems that are turned upside down", minimum=0, maximum=1)
    max_speed: float = field(
        0.0, "training songs get up to this share faster or slower, their pitch too", minimum=0, maximum=0.4
    )
    max_pitch_semitones: float = field(
        0.0, "training songs are moved up or down by this, in semitones, at their tempo", minimum=0, maximum=6
    )
    max_tempo: float = field(
        0.0, "training songs get up to this share faster or slower, at their pitch", minimum=0, maximum=0.4
    )
    validation_excerpts: int = field(120, "windows that every epoch is validated on, always the same", minimum=1)

    overlap: float = field(
        0.25, "share of a window that the next one repeats, when songs are separated", minimum=0, maximum=0.75
    )
    wiener_iterations: int = field(
        0, "iterations of the multichannel Wiener filter after the network, when songs are separated", minimum=0
    )

    def __post_init__(self):
        """Check the fields, and those that depend on one another."""
        super().__post_init__()
        self._fill_in_framing()
        for name in self.loss:
            if name not in LOSSES:
                raise UserError(f"--loss: expected any of {', '.join(LOSSES)}, got {name!r}.{nearest(name, LOSSES)}")
        if not self.loss:
            raise UserError(f"--loss: expected one or more of {', '.join(LOSSES)}")
        if len(set(self.stems)) < len(self.stems) or MIXTURE in self.stems or not self.stems:
            raise UserError(
                f"--stems: expected different parts of a song, such as vocals,drums; got {','.join(self.stems)}"
            )
        if "bce" in self.loss and len(self.stems) < 2:
            raise UserError(
                "--loss=bce asks which stem is the loudest; name two or more by --stems, or take another loss"
            )
        if "bce" in self.loss and self.mask not in ("sigmoid", "binary", "softmax"):
            raise UserError("--loss=bce compares masks; use --mask=sigmoid, binary or softmax")
        if self.mask in ("ratio", "softmax", "binary") and len(self.stems) < 2:
            raise UserError(
                f"--mask={self.mask} divides a song among stems; name two or more by --stems, or use sigmoid"
            )
        if self.fold >= self.num_folds:
            raise UserError(f"--fold: expected at most {self.num_folds - 1} with --num_folds={self.num_folds}")
        if self.min_gain > self.max_gain:
            raise UserError(f"--min_gain: expected at most --max_gain={self.max_gain}, got {self.min_gain}")
        if self.n_fft:
            self._check_framing()

    def _fill_in_framing(self) -> None:
        """Choose the framing that is left open, as soon as the sample rate is known."""
        if self.sample_rate and not self.n_fft:
            longest = max(_SHORTEST_FFT, self.sample_rate * _FFT_MS // 1000)
            object.__setattr__(self, "n_fft", 2 ** (longest.bit_length() - 1))
        if self.n_fft and not self.hop_length:
            object.__setattr__(self, "hop_length", self.n_fft // 4)

    def _check_framing(self) -> None:
        frames_inside, rest = divmod(self.n_fft, self.hop_length or 1)
        if self.n_fft < _SHORTEST_FFT or self.n_fft % 2 or rest or frames_inside < 2:
            raise UserError(
                f"--n_fft: expected an even number, {_SHORTEST_FFT} or more, that is --hop_length={self.hop_length} two or"
                f" more times, got {self.n_fft}"
            )
        step = 2**self.depth
        bins = self.n_fft // 2 // (self.subbands if self.model == "tfc_tdf" else 1)
        if self.num_frames % step or bins % step:
            raise UserError(
                f"--depth={self.depth} halves {self.num_frames} frames and {bins} bins that often; expected multiples of"
                f" {step}: change --num_frames, --n_fft, --subbands or --depth"
            )

    @property
    def window_samples(self) -> int:
        """Length of the window that the network sees at once."""
        return (self.num_frames - 1) * self.hop_length

    @property
    def window_hop(self) -> int:
        """From one window to the next when songs are separated, in samples: whole frames."""
        frames = max(1, round((self.num_frames - 1) * (1 - self.overlap)))
        return frames * self.hop_length


# The student report: a U-Net with dropout on normalised magnitudes, ideal binary masks, binary cross-entropy, Adam.
_REPORT = Config(
    epochs=40,
    batch_size=8,
    learning_rate=1e-3,
    split_rule="random",
    model="unet",
    depth=5,
    width=16,
    dropout=0.5,
    mask="sigmoid",
    loss=("bce",),
)

# Jansson et al. (2017) and Spleeter (Hennequin et al. 2020): six levels, masked magnitudes, L1.
_SPLEETER = dataclasses.replace(
    _REPORT,
    split_rule="official",
    depth=6,
    loss=("magnitude_l1",),
)

# For an hour of one core, also of one without bfloat16; see README.md. --width=32 --growth=32 is for those with more time.
DEFAULT = Config(
    epochs=40,
    epoch_examples=1200,
    batch_size=6,
    learning_rate=6e-3,
    optimizer="muon",
    schedule="cosine",
    warmup_epochs=1,
    weight_decay=0.01,
    ema_momentum=0.999,
    remix_probability=0.75,
    min_gain=0.25,
    max_gain=1.25,
    swap_probability=0.5,
    flip_probability=0.5,
    max_speed=0.2,
)

VARIANTS = {
    "default": DEFAULT,
    # Minutes on the synthetic corpus, without bfloat16 too: `make train-separation`.
    # Half the frames and smaller batches: as many steps as fit into minutes.
    "synthetic": dataclasses.replace(
        DEFAULT,
        epochs=11,
        epoch_examples=1140,
        batch_size=3,
        learning_rate=8e-3,
        remix_probability=0.5,
        min_gain=0.5,
        max_speed=0.0,
        num_songs=160,
        n_fft=1024,
        hop_length=512,
        num_frames=64,
        loss=("waveform_l1",),
        ema_momentum=0.99,
        validation_excerpts=60,
    ),
    "report": _REPORT,
    "spleeter": _SPLEETER,
    "tiny": dataclasses.replace(
        DEFAULT,
        epochs=2,
        epoch_examples=16,
        batch_size=4,
        learning_rate=2e-3,
        n_fft=256,
        hop_length=64,
        num_frames=32,
        depth=1,
        width=6,
        growth=4,
        subbands=2,
        loss=("waveform_l1",),
        num_songs=6,
        song_seconds=4.0,
        ema_momentum=0.0,
        max_speed=0.0,
        validation_excerpts=8,
    ),
}
