"""Configuration of a separator, and the named variants."""

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
# Exports are compared on more than two windows, so that the joins between windows are covered.
_EXPORT_WINDOWS = 2.5


@dataclasses.dataclass(frozen=True)
class Config(OptimizerConfig):
    """Configuration of a separator; the defaults are those of the variant `default`.

    The model computes the spectrogram of a window of the mixture, a network estimates the spectrogram of each stem, and
    the model returns the stems as waveforms.
    """

    corpus: str = field("synthetic", "corpus of the songs", choices=SEPARATION_CORPORA, group="data")
    stems: tuple[str, ...] = field(
        ("vocals", ACCOMPANIMENT),
        "stems to estimate, e.g. vocals,drums; accompaniment is the sum of all other stems",
        group="data",
    )
    sample_rate: int = field(
        0, "sample rate in hertz, e.g. 44100; 0 for the rate of the corpus", minimum=0, maximum=192_000
    )
    num_channels: int = field(
        0, "1 for mono, 2 for stereo, 0 for the channels of the corpus", minimum=0, maximum=2, formerly="channels"
    )
    split_rule: str = field(
        "official",
        "official (the split of the corpus, or one by singers or tracks), random (windows of all tracks, 81/9/10 %) or"
        " folds (cross-validation by singers or tracks)",
        choices=("official", "random", "folds"),
    )
    num_folds: int = field(5, "number of folds with --split_rule=folds", minimum=3)
    fold: int = field(0, "index of the test fold; the next fold is the validation split", minimum=0)
    num_songs: int = field(48, "number of songs of the synthetic corpus", minimum=6)
    song_seconds: float = field(12.0, "length of a song of the synthetic corpus in seconds", minimum=2)

    n_fft: int = field(
        0,
        "FFT length in samples, e.g. 2048; 0 for the largest power of two within 64 ms",
        minimum=0,
        maximum=16384,
        group="model",
    )
    hop_length: int = field(0, "hop between frames in samples; 0 for a quarter of --n_fft", minimum=0, maximum=16_384)
    num_frames: int = field(128, "frames in a window, the input of the network", minimum=16, maximum=8192)

    model: str = field("tfc_tdf", "network architecture", choices=MODELS)
    depth: int = field(3, "number of levels; each halves time and frequency", minimum=1, maximum=8)
    width: int = field(16, "channels of the first level", minimum=1, maximum=1024)
    growth: int = field(16, "channels added at each level (tfc_tdf)", minimum=0, maximum=1024)
    subbands: int = field(8, "frequency bands stacked as channels (tfc_tdf)", minimum=1, maximum=64)
    blocks: int = field(1, "blocks per level, down and up (tfc_tdf)", minimum=1, maximum=32)
    bottleneck: int = field(4, "reduction factor of the dense layers over frequency (tfc_tdf)", minimum=1, maximum=1024)
    dropout: float = field(0.0, "dropout rate", minimum=0, maximum=0.9)
    mask: str = field(
        "complex",
        "output of the network, sigmoid (independent masks), binary (sigmoid thresholded at 0.5), ratio (power ratios),"
        " softmax (masks that sum to 1), complex (complex masks) or spectrum (complex spectra of the stems)",
        choices=("sigmoid", "binary", "ratio", "softmax", "complex", "spectrum"),
    )
    loss: tuple[str, ...] = field(
        ("waveform_l1", "multi_stft"), f"losses to add up, any of {', '.join(LOSSES)}", group="training"
    )

    remix_probability: float = field(
        0.0,
        "fraction of training examples that mix stems of different songs",
        minimum=0,
        maximum=1,
        formerly="mix_probability",
        group="augmentation",
    )
    min_gain: float = field(1.0, "smallest random gain of a training stem, as a factor", minimum=0)
    max_gain: float = field(1.0, "largest random gain of a training stem, as a factor", minimum=0)
    swap_probability: float = field(
        0.0, "fraction of training stems whose left and right channels are swapped", minimum=0, maximum=1
    )
    flip_probability: float = field(0.0, "fraction of training stems whose sign is inverted", minimum=0, maximum=1)
    max_speed: float = field(
        0.0, "largest random speed change, with pitch, of training songs, e.g. 0.2 for 20 %", minimum=0, maximum=0.4
    )
    max_pitch_semitones: float = field(
        0.0, "largest random pitch shift of training songs in semitones; the tempo stays", minimum=0, maximum=6
    )
    max_tempo: float = field(
        0.0,
        "largest random tempo change of training songs, e.g. 0.2 for 20 %; the pitch stays",
        minimum=0,
        maximum=0.4,
    )
    validation_excerpts: int = field(
        120, "number of validation windows; the same in every epoch", minimum=1, group="data"
    )

    overlap: float = field(
        0.25,
        "overlap of consecutive windows during inference, as a fraction of a window",
        minimum=0,
        maximum=0.75,
        group="model",
    )
    wiener_iterations: int = field(
        0, "iterations of the multichannel Wiener filter during inference; 0 turns it off", minimum=0
    )

    def __post_init__(self):
        """Check each field, and the combinations of fields."""
        super().__post_init__()
        self._fill_in_framing()
        for name in self.loss:
            if name not in LOSSES:
                raise UserError(f"--loss: expected any of {', '.join(LOSSES)}, got {name!r}.{nearest(name, LOSSES)}")
        if not self.loss:
            raise UserError(f"--loss: expected at least one of {', '.join(LOSSES)}")
        if len(set(self.stems)) < len(self.stems) or MIXTURE in self.stems or not self.stems:
            raise UserError(
                f"--stems: expected different stems of a song, e.g. vocals,drums; got {','.join(self.stems)}"
            )
        if "bce" in self.loss and len(self.stems) < 2:
            raise UserError("--loss=bce needs two or more stems; add stems to --stems, or use another loss")
        if "bce" in self.loss and self.mask not in ("sigmoid", "binary", "softmax"):
            raise UserError("--loss=bce needs masks in [0, 1]; use --mask=sigmoid, binary or softmax")
        if self.mask in ("ratio", "softmax", "binary") and len(self.stems) < 2:
            raise UserError(f"--mask={self.mask} needs two or more stems; add stems to --stems, or use --mask=sigmoid")
        if self.fold >= self.num_folds:
            raise UserError(f"--fold: expected at most {self.num_folds - 1} with --num_folds={self.num_folds}")
        if self.min_gain > self.max_gain:
            raise UserError(f"--min_gain: expected at most --max_gain={self.max_gain}, got {self.min_gain}")
        if self.n_fft:
            self._check_framing()

    def _fill_in_framing(self) -> None:
        """Choose `n_fft` and `hop_length` where they are 0, once the sample rate is known."""
        if self.sample_rate and not self.n_fft:
            longest = max(_SHORTEST_FFT, self.sample_rate * _FFT_MS // 1000)
            object.__setattr__(self, "n_fft", 2 ** (longest.bit_length() - 1))
        if self.n_fft and not self.hop_length:
            object.__setattr__(self, "hop_length", self.n_fft // 4)

    def _check_framing(self) -> None:
        frames_inside, rest = divmod(self.n_fft, self.hop_length or 1)
        if self.n_fft < _SHORTEST_FFT or self.n_fft % 2 or rest or frames_inside < 2:
            raise UserError(
                f"--n_fft: expected an even number, {_SHORTEST_FFT} or more, that is a multiple (2 or more) of"
                f" --hop_length={self.hop_length}, got {self.n_fft}"
            )
        step = 2**self.depth
        bins = self.n_fft // 2 // (self.subbands if self.model == "tfc_tdf" else 1)
        if self.num_frames % step or bins % step:
            raise UserError(
                f"--depth={self.depth} needs frames and bins that are multiples of {step}, got {self.num_frames} frames"
                f" and {bins} bins; change --num_frames, --n_fft, --subbands or --depth"
            )

    @property
    def window_samples(self) -> int:
        """Length of a window, the input of the network, in samples."""
        return (self.num_frames - 1) * self.hop_length

    @property
    def window_hop(self) -> int:
        """Hop between windows during inference, in samples; a whole number of frames."""
        frames = max(1, round((self.num_frames - 1) * (1 - self.overlap)))
        return frames * self.hop_length

    @property
    def export_samples(self) -> int:
        """Length of the mixtures that exports are compared on, in samples."""
        return round(_EXPORT_WINDOWS * self.window_samples)


# The student report: U-Net with dropout on normalised magnitudes, ideal binary masks, binary cross-entropy, Adam.
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

# Trains in an hour on one core, even without bfloat16; see README.md. With more time, use --width=32 --growth=32.
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
    # Trains in minutes on the synthetic corpus, even without bfloat16: `make train-separation`.
    # Half the frames and smaller batches allow more steps in that time.
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
