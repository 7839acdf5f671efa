"""What a keyword spotter can be: its configuration and the named variants."""

import dataclasses

from common import corpora
from common.config import field
from common.encoders.config import ClassifierConfig
from common.errors import UserError, nearest

TASK = "kws"
MODELS = (
    "report_cnn",
    "bc_resnet",
    "cnn_tdnn",
    "res_cnn",
    "ds_cnn",
    "tc_resnet",
    "mhatt_rnn",
    "crnn",
    "lstm",
    "tf_lstm",
    "m3",
    "m5",
    "m11",
    "m18",
    "embedding",
)
KWS_CORPORA = corpora.names(TASK)
COMMAND_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
SILENCE, UNKNOWN = "_silence_", "_unknown_"


@dataclasses.dataclass(frozen=True)
class Config(ClassifierConfig):
    """Configuration of a keyword spotter; the defaults are those of the variant `default`.

    The waveform is cut or padded to `clip_seconds`, turned into features inside the model, encoded, and classified.
    """

    corpus: str = field(
        "synthetic",
        "synthetic, speech_commands, folder, clusters (of untranscribed speech), or several separated by commas",
    )
    data_dir: str = field(
        "", "folder of the corpus in its native layout; with several corpora one each, separated by commas"
    )
    words: tuple[str, ...] = field(
        (), "the keywords, separated by commas; unless given the ten command words, or every class of a folder"
    )
    unknown: bool = field(False, "add the class _unknown_ for other words")
    silence: bool = field(False, "add the class _silence_ for noise without speech")
    unknown_ratio: float = field(
        1.0, "recordings of other words in training for each one of a keyword, as far as there are", minimum=0.1
    )
    speech_dir: str = field(
        "",
        "folder of speech about anything: with --unknown cuts of it fill up what --unknown_ratio asks for in training",
    )
    unseen_words: tuple[str, ...] = field(
        (), "other words kept out of training and validation, to test whether words never heard are rejected"
    )
    target_recall: float = field(
        0.95,
        "fraction of the validation keywords that the stored threshold accepts",
        minimum=0.5,
        maximum=1,
        formerly="keep_keywords",
    )
    split_rule: str = field(
        "official",
        "official keeps speakers apart; random mixes them, 81/9/10 % as in the report; folds deals the speakers",
        choices=("official", "random", "folds"),
    )
    num_folds: int = field(5, "folds of --split_rule=folds", minimum=3)
    fold: int = field(0, "the fold that is the test split; the next one is validation", minimum=0)
    language: str = field("en", "language of the synthetic corpus, as espeak-ng names it")
    clips_per_word: int = field(300, "clips of each word in the synthetic corpus", minimum=10)
    recorded_fraction: float = field(
        0.5,
        "recordings are oversampled until they make up this fraction of training beside the synthetic corpus",
        minimum=0,
        maximum=0.9,
        formerly="recorded_share",
    )

    model: str = field("bc_resnet", "the network", choices=MODELS)

    num_teachers: int = field(
        0, "networks trained first with other seeds, whose averaged answers this one learns", minimum=0, maximum=10
    )
    teacher_width: float = field(1.0, "the teachers' --width", minimum=0.25, maximum=8)
    teacher_weight: float = field(0.7, "share of a label that the teachers give", minimum=0, maximum=1)

    max_shift_ms: float = field(100.0, "training clips move by up to this, in milliseconds", minimum=0)
    max_gain_db: float = field(6.0, "training clips get up to this much louder or quieter, in dB", minimum=0)
    mixup_probability: float = field(
        0.0,
        "fraction of training clips that are mixed with another, labels too: mixup",
        minimum=0,
        maximum=1,
        formerly="mix_probability",
    )

    def __post_init__(self):
        """Check the fields, and those that depend on one another."""
        super().__post_init__()
        duplicates = {word for word in self.words if self.words.count(word) > 1}
        if duplicates:
            raise UserError(f"--words: {', '.join(sorted(duplicates))} stands there twice; give each word once")
        if self.fold >= self.num_folds:
            raise UserError(f"--fold: expected at most {self.num_folds - 1} with --num_folds={self.num_folds}")
        both = [word for word in self.unseen_words if word in self.words]
        if both:
            raise UserError(f"--unseen_words: {both[0]} is one of --words; a keyword has to be heard in training")
        if self.speech_dir and not self.unknown:
            raise UserError("--speech_dir gives examples of unknown words; add --unknown")
        names = self.corpus.split(",")
        unknown = [name for name in names if name not in KWS_CORPORA]
        if unknown:
            hint = nearest(unknown[0], KWS_CORPORA)
            raise UserError(f"--corpus: expected one or several of {', '.join(KWS_CORPORA)}, got {unknown[0]!r}.{hint}")

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the model's outputs."""
        return (*self.words, *((SILENCE,) if self.silence else ()), *((UNKNOWN,) if self.unknown else ()))


# The report's features, librosa's defaults.
_REPORT_FEATURES = {
    "sample_rate": 22050,
    "features": "mfcc",
    "n_fft": 2048,
    "win_length": 2048,
    "hop_length": 512,
    "num_mels": 128,
}


def _report() -> Config:
    """The student report's recipe: MFCC of librosa's definition, its CNN, its random split, no augmentation.

    `python -m kws.train --variant=report --corpus=speech_commands --data_dir=DIR`. The report published six rows from
    5 epochs at batch 128 (66.46 %) to 40 epochs at batch 32 (93.62 %) on 21,312 clips; this is the last. It does not
    give its learning rate: Keras' own default is used.
    """
    return Config(
        epochs=40,
        batch_size=32,
        learning_rate=1e-3,
        optimizer="adam",
        words=COMMAND_WORDS,
        split_rule="random",
        **_REPORT_FEATURES,
        model="report_cnn",
        dropout=0.3,
        max_shift_ms=0.0,
        max_gain_db=0.0,
        max_speed=0.0,
        noise_probability=0.0,
        max_time_mask=0,
        max_frequency_mask=0,
    )


# What the variants of the encoders share: minutes on the few thousand recordings that people have.
_BASE = Config(
    epochs=40,
    batch_size=50,
    learning_rate=5e-3,
    optimizer="adamw",
    schedule="cosine",
    warmup_epochs=2,
    weight_decay=0.01,
)

# The most accurate network that a CPU trains within the hour; kws/README.md shows what each part adds. An epoch is a
# number of draws, so that the time does not depend on the corpus.
DEFAULT = Config(
    epochs=50,
    epoch_examples=6000,
    batch_size=60,
    learning_rate=3e-3,
    optimizer="adamw",
    schedule="cosine",
    warmup_epochs=2.5,
    weight_decay=0.05,
    model="cnn_tdnn",
    min_snr_db=0.0,
    reverberation_probability=0.3,
    max_vocal_tract_warp=0.15,
    max_time_stretch=0.1,
    equalizer_db=3.0,
    max_time_mask=20,
    max_frequency_mask=5,
)

# Trained on espeak-ng's voices, used by people: what keeps a network from relying on how a synthesiser speaks.
_SYNTHETIC = dataclasses.replace(
    DEFAULT,
    clips_per_word=600,
    epochs=25,
    mixup_probability=0.5,
    label_smoothing=0.1,
    max_vocal_tract_warp=0.2,
    max_time_stretch=0.15,
    equalizer_db=5.0,
    # Validation, on synthetic voices too, cannot tell which epoch holds best on people.
    keep_epoch="last",
)

# BC-ResNet-1 as its authors train it (arXiv 2106.04140): 200 epochs of SGD, shift and noise; masks of the
# spectrogram only from tau = 1.5 on.
_BC_RESNET_1 = Config(
    epochs=200,
    batch_size=100,
    learning_rate=0.1,
    optimizer="sgd",
    schedule="cosine",
    warmup_epochs=5,
    weight_decay=1e-3,
    model="bc_resnet",
    tau=1.0,
    max_gain_db=0.0,
    max_speed=0.0,
    noise_probability=0.8,
    max_time_mask=0,
    max_frequency_mask=0,
)

# Of each encoder: what its variant changes in `_BASE`. Published features and sizes, the shared augmentation.
_SHORT_MFCC = {"features": "mfcc", "n_fft": 1024, "win_length": 640, "hop_length": 320, "max_time_mask": 5}
_ENCODERS = {
    "report_cnn": {
        **_REPORT_FEATURES,
        "learning_rate": 2e-3,
        "dropout": 0.3,
        "max_time_mask": 4,
        "max_frequency_mask": 0,
    },
    "bc_resnet": {"tau": 2.0, "dropout": 0.1},
    "cnn_tdnn": {"learning_rate": 3e-3, "weight_decay": 0.05, "dropout": 0.1},
    "res_cnn": {"learning_rate": 3e-3, "weight_decay": 0.05, "dropout": 0.1},
    "ds_cnn": {**_SHORT_MFCC, "num_mfcc": 10, "max_frequency_mask": 0, "epochs": 80, "dropout": 0.2},
    "tc_resnet": {"epochs": 80, "dropout": 0.5},
    "mhatt_rnn": {**_SHORT_MFCC, "num_mfcc": 20, "max_frequency_mask": 0, "learning_rate": 2e-3, "dropout": 0.2},
    "crnn": {**_SHORT_MFCC, "num_mfcc": 20, "max_frequency_mask": 0, "learning_rate": 2e-3, "dropout": 0.1},
    "lstm": {"learning_rate": 3e-3, "dropout": 0.2},
    "tf_lstm": {"learning_rate": 3e-3, "dropout": 0.2},
    "m3": {"epochs": 80, "learning_rate": 2e-3},
    "m5": {"epochs": 80, "learning_rate": 2e-3},
    "m11": {"learning_rate": 2e-3},
    "m18": {"learning_rate": 2e-3},
    "embedding": {"epochs": 20, "learning_rate": 2e-3, "dropout": 0.2},
}

VARIANTS = {
    "default": DEFAULT,
    "twelve": dataclasses.replace(DEFAULT, words=COMMAND_WORDS, unknown=True, silence=True, unknown_ratio=3.0),
    "synthetic": _SYNTHETIC,
    "bc_resnet_1": _BC_RESNET_1,
    "report": _report(),
    "tiny": Config(
        epochs=2,
        batch_size=16,
        learning_rate=3e-3,
        model="report_cnn",
        clips_per_word=10,
        noise_probability=0.0,
        max_speed=0.0,
    ),
    **{name: dataclasses.replace(_BASE, model=name, **changes) for name, changes in _ENCODERS.items()},
}
