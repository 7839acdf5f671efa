"""Configuration of the speaker counter, and its named variants."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from common import config as configs
from common import corpora
from common.config import AUTO, field
from common.encoders import ENCODERS
from common.encoders.config import ClassifierConfig
from common.errors import UserError, nearest

TASK = "counting"
MODELS = tuple(ENCODERS)
HEADS = (AUTO, "sex", "class", "ordinal", "poisson")
PREPARED = "prepared"
COUNTING_CORPORA = corpora.names(TASK)
# The fields that a prepared set of mixtures depends on.
PREPARED_FIELDS = (
    *("corpus", "data_dir", "subsets", "language", "num_voices", "utterances_per_voice", "seed", "max_rejected"),
    *("min_speakers", "max_speakers", "clip_seconds", "sample_rate", "cuts", "min_activity", "label_rule"),
    *("level_rule", "speaker_gain_db", "min_level_db", "max_level_db", "max_speed"),
    *("noise_dir", "noise_probability", "min_snr_db", "max_snr_db"),
    *("reverberation_probability", "min_rt60_seconds", "max_rt60_seconds"),
)


@dataclasses.dataclass(frozen=True)
class Config(ClassifierConfig):
    """Configuration of a speaker counter; the defaults are those of the variant `default`.

    Excerpts of different speakers are mixed on the fly. The model computes the features of the mixture, encodes them,
    and predicts a probability for each number of speakers, or for each pair of numbers of women and men.
    """

    corpus: str = field(
        "synthetic",
        "synthetic (generated voices), librispeech, folder (one folder per speaker), or prepared (mixtures from"
        " python -m counting.prepare)",
        group="data",
    )
    subsets: tuple[str, ...] = field(
        (),
        "subsets of LibriSpeech, separated by commas, e.g. dev-clean,test-clean; if empty, all in the folder, and"
        " --download fetches dev-clean, test-clean and train-clean-100",
        group="data",
    )
    language: str = field("en", "language of the synthetic corpus, an espeak-ng code")
    num_voices: int = field(160, "number of speakers in the synthetic corpus", minimum=12)
    utterances_per_voice: int = field(3, "recordings per speaker in the synthetic corpus", minimum=1)

    min_speakers: int = field(1, "fewest speakers in a mixture; 0 is background noise only", minimum=0)
    max_speakers: int = field(3, "most speakers in a mixture", minimum=1, maximum=20)
    cuts: str = field(
        "voiced",
        "excerpts to mix; voiced: the speaker is active for --min_activity of the time; random: any position",
        choices=("voiced", "random"),
    )
    min_activity: float = field(
        0.6,
        "smallest fraction of a voiced excerpt in which the speaker is active (within 30 dB of their loudest)",
        minimum=0.1,
        maximum=1,
    )
    label_rule: str = field(
        "mixed",
        "true count of a mixture; mixed: number of mixed speakers; active: most speakers active at once",
        choices=("mixed", "active"),
    )
    level_rule: str = field(
        "drawn",
        "levels in a mixture; drawn: random for each speaker and mixture; equal: speakers unchanged, random for each"
        " mixture; mean: mean of the excerpts, quieter with more speakers (the report's equation 4)",
        choices=("drawn", "equal", "mean"),
    )
    speaker_gain_db: float = field(
        6.0, "largest random gain of each speaker, up or down, in dB; only with --level_rule=drawn", minimum=0
    )
    min_level_db: float = field(-40.0, "lowest level of a mixture, in dBFS; not with --level_rule=mean")
    max_level_db: float = field(-15.0, "highest level of a mixture, in dBFS; not with --level_rule=mean", maximum=0)
    min_rt60_seconds: float = field(
        0.1, "shortest random reverberation time, in seconds", minimum=0.05, maximum=2, group="augmentation"
    )
    max_rt60_seconds: float = field(0.7, "longest random reverberation time, in seconds", minimum=0.05, maximum=2)
    vary_noise: bool = field(
        False,
        "augment the noise of --noise_dir: other speeds, reversed, two recordings mixed, some coloured noise",
    )
    validation_mixtures: int = field(
        1500, "mixtures for validation; the same for every epoch and --seed", minimum=30, group="data"
    )
    test_mixtures: int = field(3000, "mixtures per test condition; the same for every --seed", minimum=30)

    head: str = field(
        AUTO,
        "output of the model; sex: numbers of women and men; class: the count; auto: sex if the sex of every speaker is"
        " known, else class; ordinal: more than 1, more than 2, …; poisson: a rate",
        choices=HEADS,
        group="model",
    )
    original_widths: bool = field(False, "use the widths of Dai et al. for M3 to M34-res instead of the report's")

    def __post_init__(self):
        """Check each field and the fields that depend on each other."""
        super().__post_init__()
        if self.corpus not in COUNTING_CORPORA:
            hint = nearest(self.corpus, COUNTING_CORPORA)
            raise UserError(f"--corpus: expected one of {', '.join(COUNTING_CORPORA)}, got {self.corpus!r}.{hint}")
        if self.subsets and self.corpus != "librispeech":
            raise UserError(f"--subsets: only for --corpus=librispeech, got --corpus={self.corpus}; remove --subsets")
        if self.max_speakers <= self.min_speakers:
            raise UserError(
                f"--max_speakers: expected more than --min_speakers={self.min_speakers}, got {self.max_speakers}"
            )
        if self.label_rule == "active" and self.min_speakers:
            if self.cuts == "random":
                raise UserError(
                    "--label_rule=active: random excerpts may have no active speaker; use --min_speakers=0 or"
                    " --cuts=voiced"
                )
            # With speed changes the excerpts are longer and only their middle is used, where nobody may be active.
            least = self.max_speed / (1 + self.max_speed)
            if self.min_activity <= least:
                raise UserError(
                    f"--min_activity: with --label_rule=active and --max_speed={self.max_speed:g} expected more than"
                    f" {least:.2f}, got {self.min_activity}; otherwise nobody may be active in a mixture"
                )
        for low, high in (("min_level_db", "max_level_db"), ("min_rt60_seconds", "max_rt60_seconds")):
            if getattr(self, low) > getattr(self, high):
                raise UserError(f"--{low}: expected at most --{high}={getattr(self, high)}, got {getattr(self, low)}")

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of speakers that the model can predict."""
        return tuple(range(self.min_speakers, self.max_speakers + 1))

    @property
    def sexes(self) -> tuple[tuple[int, int], ...]:
        """The pairs of numbers of women and men of the head `sex`, ordered by sum, more women first."""
        return tuple((count - male, male) for count in self.counts for male in range(count + 1))

    @property
    def known_sexes(self) -> tuple[tuple[int, int], ...] | None:
        """The numbers of women and men of each label; None if labels are counts. Before the corpus is known, `auto` is `sex`."""
        return self.sexes if self.head in (AUTO, "sex") else None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the outputs: counts, or with the head `sex` one letter per speaker (`FFM`), `-` for nobody."""
        if self.known_sexes:
            return tuple("F" * female + "M" * male or "-" for female, male in self.sexes)
        return tuple(str(count) for count in self.counts)


def settings_of(config: Config) -> dict[str, Any]:
    """Return the values of `PREPARED_FIELDS`, as in a JSON file."""
    values = configs.to_dict(config)
    return {name: values[name] for name in PREPARED_FIELDS}


def label_totals(counts: Sequence[int], sexes: Sequence[tuple[int, int]] | None) -> tuple[int, ...]:
    """Return the number of speakers of each label; labels are counts, or pairs of numbers of women and men.

    Example:
        >>> label_totals((1, 2), ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2)))
        (1, 1, 2, 2, 2)
    """
    return tuple(counts) if sexes is None else tuple(map(sum, sexes))


def count_matrix(counts: Sequence[int], sexes: Sequence[tuple[int, int]] | None) -> np.ndarray:
    """Return the 0/1 matrix `(labels, counts)` that maps label probabilities to count probabilities by `p @ matrix`."""
    return (np.asarray(label_totals(counts, sexes))[:, None] == np.asarray(counts)).astype(np.float32)


# The report's recipe: the mean of random excerpts, labelled with their number; Adam without a schedule.
_REPORT = Config(
    epochs=10,
    epoch_examples=100_000,
    batch_size=32,
    learning_rate=1e-4,
    optimizer="adam",
    cuts="random",
    level_rule="mean",
    validation_mixtures=10_000,
    test_mixtures=10_000,
    head="class",
    model="m5",
    dropout=0.0,
    max_speed=0.0,
    noise_probability=0.0,
    max_time_mask=0,
    max_frequency_mask=0,
)
_REPORT_2D = dataclasses.replace(_REPORT, features="spectrogram_db", model="cnn_2d_2", dropout=0.2)

# The most accurate network that trains on a CPU within an hour; see the ablation in counting/README.md.
DEFAULT = Config(
    epochs=60,
    epoch_examples=12_000,
    batch_size=60,
    learning_rate=3e-3,
    optimizer="adamw",
    schedule="cosine",
    warmup_epochs=2.5,
    weight_decay=0.05,
    ema_momentum=0.999,
    model="cnn_tdnn",
    num_mels=80,
    noise_probability=0.9,
    min_snr_db=0.0,
    max_snr_db=25.0,
    vary_noise=True,
    reverberation_probability=0.3,
    max_time_mask=10,
    max_frequency_mask=5,
)

# Trains in minutes on the synthetic corpus: `make train-counting`.
_SYNTHETIC = dataclasses.replace(
    DEFAULT,
    epochs=20,
    epoch_examples=6000,
    warmup_epochs=1,
    ema_momentum=0.99,
    num_voices=320,
    # Strong augmentation, which generalizes better, needs longer training.
    noise_probability=0.1,
    min_snr_db=5.0,
    vary_noise=False,
    reverberation_probability=0.0,
    test_mixtures=1500,
)

# Shared by some variants of the encoders, and what each variant changes: features and sizes as in keyword spotting.
_SHORT_MFCC = {
    "features": "mfcc",
    "n_fft": 1024,
    "win_length": 640,
    "hop_length": 320,
    "num_mfcc": 20,
    "max_frequency_mask": 0,
}
_ENCODERS = {
    "report_cnn": {
        "features": "mfcc",
        "n_fft": 2048,
        "win_length": 2048,
        "hop_length": 512,
        "num_mels": 128,
        "max_frequency_mask": 0,
    },
    "ds_cnn": {**_SHORT_MFCC, "num_mfcc": 10},
    "mhatt_rnn": _SHORT_MFCC,
    "crnn": _SHORT_MFCC,
    "countnet": {"features": "magnitude", "n_fft": 400, "win_length": 400, "dropout": 0.5},
    "cnn_2d_1": {"features": "spectrogram_db", "dropout": 0.2},
    "cnn_2d_2": {"features": "spectrogram_db", "dropout": 0.2},
    "cnn_2d_4": {"features": "spectrogram_db", "dropout": 0.2},
}

VARIANTS = {
    "default": DEFAULT,
    "synthetic": _SYNTHETIC,
    "report": _REPORT,
    **{f"report-{name}": dataclasses.replace(_REPORT, model=name) for name in ("m3", "m5", "m11", "m18")},
    "report-m34-res": dataclasses.replace(_REPORT, model="m34_res"),
    **{f"report-2d-{name}": dataclasses.replace(_REPORT_2D, model=f"cnn_2d_{name}") for name in ("1", "2", "4")},
    "tiny": Config(
        epochs=2,
        epoch_examples=64,
        batch_size=16,
        learning_rate=3e-3,
        model="m3",
        num_voices=24,
        utterances_per_voice=1,
        validation_mixtures=60,
        test_mixtures=60,
        noise_probability=0.0,
        max_speed=0.0,
    ),
    **{name: dataclasses.replace(DEFAULT, model=name, **_ENCODERS.get(name, {})) for name in MODELS},
}
