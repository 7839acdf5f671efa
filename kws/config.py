"""Configuration of the keyword spotter, and its named variants."""

import dataclasses

from common import corpora
from common.config import AUTO, field
from common.encoders import pretrained
from common.encoders.config import ClassifierConfig
from common.errors import UserError, nearest
from kws import folders

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
    "speech_embedding",
    "embedding",
)
KWS_CORPORA = corpora.names(TASK)
COMMAND_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
# How the layer on the windows of the speech embedding is found: `trained` by gradient descent, as any network; the others
# are fitted to a few recordings, `auto` being the best of them.
TRAINED, CONVOLUTIONS = "trained", "convolutions"
HEADS = ("nearest_mean", "ridge", "lda", "logistic", CONVOLUTIONS)
SYNTHESIZERS = ("espeak", "kokoro", "flite")
SILENCE, UNKNOWN = "_silence_", "_unknown_"


@dataclasses.dataclass(frozen=True)
class Config(ClassifierConfig):
    """Configuration of a keyword spotter; the defaults are those of the variant `default`.

    The waveform is cropped or padded to `clip_seconds`. The model computes the features, encodes them and classifies.
    """

    corpus: str = field(
        "synthetic",
        "one or more of synthetic, speech_commands, folder, clusters (of untranscribed speech), separated by commas",
        group="data",
    )
    data_dir: str = field(
        "", "folder of the corpus in its native layout; for several corpora one folder each, separated by commas"
    )
    words: tuple[str, ...] = field(
        (),
        "keywords, separated by commas; if empty, the ten command words, or with --corpus=folder every class",
        group="data",
    )
    unknown: bool = field(False, "add the class _unknown_ for all other words")
    silence: bool = field(False, "add the class _silence_ for noise without speech")
    unknown_ratio: float = field(
        0.0,
        "size of _unknown_ in training, as a multiple of the average clips per keyword; 0: 1, with --speech_dir alone as"
        " large as all keywords together",
        minimum=0,
    )
    speech_dir: str = field(
        "",
        "folder of general speech for _unknown_ (needs --unknown); beside recordings of other words it fills up training"
        " to --unknown_ratio",
    )
    near_fraction: float = field(
        0.0,
        "with --speech_dir alone: fraction of training that is synthetic, keywords and words like them, e.g. 0.25",
        minimum=0,
        maximum=0.9,
    )
    unseen_words: tuple[str, ...] = field(
        (), "other words excluded from training and validation, to test the rejection of unseen words"
    )
    target_recall: float = field(
        0.95,
        "fraction of validation keywords that the stored threshold accepts, e.g. 0.95",
        minimum=0.5,
        maximum=1,
        formerly="keep_keywords",
    )
    split_rule: str = field(
        "official",
        "official: no speaker is in two splits; random: 81/9/10 % of the clips, as in the report; folds: by speaker",
        choices=("official", "random", "folds"),
    )
    num_folds: int = field(5, "number of folds, with --split_rule=folds", minimum=3)
    fold: int = field(0, "fold used as the test split; the next fold is validation", minimum=0)
    language: str = field("en", "language of synthetic speech, an espeak-ng code")
    synthesizers: tuple[str, ...] = field(
        ("espeak",), "programs that speak the synthetic corpus, in turn: espeak, kokoro (natural voices), flite"
    )
    kokoro_dir: str = field("", "folder with the ONNX file and the voices of Kokoro; empty for data/kokoro")
    clips_per_word: int = field(300, "clips per word in the synthetic corpus", minimum=10)
    recorded_fraction: float = field(
        0.5,
        "with synthetic and recorded corpora: oversample recordings to this fraction of the training clips",
        minimum=0,
        maximum=0.9,
        formerly="recorded_share",
    )

    model: str = field("bc_resnet", "the network", choices=MODELS, group="model")

    head: str = field(
        TRAINED,
        "with --model=speech_embedding: trained, or fitted to one to twenty recordings of each word, from which its"
        " accuracy is estimated, too; auto takes the best of nearest_mean, ridge, lda, logistic and convolutions",
        choices=(TRAINED, AUTO, *HEADS),
    )

    num_teachers: int = field(
        0,
        "teacher networks to distil from, trained first with other seeds; 0 trains none",
        minimum=0,
        maximum=10,
        group="training",
    )
    teacher_dir: str = field("", "run directory of a trained model of the same words, to distil from")
    teacher_width: float = field(1.0, "--width of the teachers", minimum=0.25, maximum=8)
    teacher_weight: float = field(
        0.7, "weight of the teachers' predictions in the training labels", minimum=0, maximum=1
    )

    max_shift_ms: float = field(
        100.0, "largest random time shift of training clips, in milliseconds", minimum=0, group="augmentation"
    )
    max_gain_db: float = field(6.0, "largest random gain of training clips, up or down, in dB", minimum=0)
    mixup_probability: float = field(
        0.0,
        "fraction of training clips augmented by mixup",
        minimum=0,
        maximum=1,
        formerly="mix_probability",
    )

    def __post_init__(self):
        """Check each field and the fields that depend on each other."""
        super().__post_init__()
        duplicates = {word for word in self.words if self.words.count(word) > 1}
        if duplicates:
            raise UserError(f"--words: {', '.join(sorted(duplicates))} is listed twice; give each word once")
        if self.fold >= self.num_folds:
            raise UserError(f"--fold: expected at most {self.num_folds - 1} with --num_folds={self.num_folds}")
        both = [word for word in self.unseen_words if word in self.words]
        if both:
            raise UserError(f"--unseen_words: {both[0]} is one of --words; a word cannot be both keyword and unseen")
        if self.speech_dir and not self.unknown:
            raise UserError("--speech_dir needs the class _unknown_; add --unknown")
        others = [name for name in self.synthesizers if name not in SYNTHESIZERS]
        if others or not self.synthesizers:
            raise UserError(
                f"--synthesizers: expected one or several of {', '.join(SYNTHESIZERS)}, got"
                f" {others[0] if others else ''!r}.{nearest(others[0], SYNTHESIZERS) if others else ''}"
            )
        names = self.corpus.split(",")
        unknown = [name for name in names if name not in KWS_CORPORA]
        if unknown:
            hint = nearest(unknown[0], KWS_CORPORA)
            raise UserError(f"--corpus: expected one or several of {', '.join(KWS_CORPORA)}, got {unknown[0]!r}.{hint}")

        if self.fits_head:
            self._check_head(names)

    def _check_head(self, corpora_used: list[str]) -> None:
        """Refuse what a head that is fitted has no use for."""
        given = f"--head={self.head}"
        if self.model != "speech_embedding":
            raise UserError(f"{given} is for --model=speech_embedding, not --model={self.model}")
        if not {"folder", "speech_commands"} & {*corpora_used} or "clusters" in corpora_used:
            raise UserError(f"{given} is for recordings of words; use --corpus=folder, alone or beside synthetic")
        for name in ("fine_tune", "num_teachers", "teacher_dir", "mixup_probability"):
            if getattr(self, name):
                raise UserError(f"--{name} is not for {given}; leave it out, or use --head={TRAINED}")

    @property
    def fits_head(self) -> bool:
        """Whether the layer on the speech embedding is fitted to few recordings instead of trained."""
        return self.head != TRAINED

    @property
    def pooled(self) -> bool:
        """Whether that layer is a linear one on the pooled windows; see `common.encoders.speech_embedding`."""
        return self.head not in (TRAINED, CONVOLUTIONS)

    def absolute_path(self, name: str, value: str) -> str:
        """Return a path as an absolute one; `data_dir` may be one folder for each corpus."""
        return (
            folders.absolute(value, self.corpus.split(","))
            if name == "data_dir"
            else super().absolute_path(name, value)
        )

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
    """The student report's recipe: librosa's MFCC, the report's CNN, a random split, no augmentation.

    `python -m kws.train --variant=report --corpus=speech_commands --data_dir=DIR`. The report published six rows from
    5 epochs at batch 128 (66.46 %) to 40 epochs at batch 32 (93.62 %) on 21,312 clips; this is the last row. The report
    does not state a learning rate; this is the Keras default.
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


# Shared by the variants of the encoders. Trains in minutes on a few thousand recordings.
_BASE = Config(
    epochs=40,
    batch_size=50,
    learning_rate=5e-3,
    optimizer="adamw",
    schedule="cosine",
    warmup_epochs=2,
    weight_decay=0.01,
)

# A small network without pretraining; see the ablation in kws/RESULTS.md. An epoch has a fixed number of clips, so the
# training time does not depend on the corpus.
SMALL = Config(
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
_SMALL_SYNTHETIC = dataclasses.replace(
    SMALL,
    clips_per_word=600,
    epochs=25,
    mixup_probability=0.5,
    label_smoothing=0.1,
    max_vocal_tract_warp=0.2,
    max_time_stretch=0.15,
    equalizer_db=5.0,
    # Validation is synthetic too, so its best epoch need not be the best one on real speech.
    keep_epoch="last",
)

# The pretrained speech embedding, trained on: more accurate in a sixth of the steps. It knows many voices already, so on
# recordings of people it needs less augmentation; on synthetic voices the strong one still helps.
_PRETRAINED = {
    "model": "speech_embedding",
    "fine_tune": True,
    "fine_tune_rate": 0.3,
    "epochs": 8,
    "warmup_epochs": 0.5,
    "max_time_mask": 10,
    # Validation is small: an early epoch can be the best there by chance.
    "keep_epoch": "last",
}
_LESS_AUGMENTATION = {"max_vocal_tract_warp": 0.0, "max_time_stretch": 0.0, "equalizer_db": 0.0}
_TWELVE = {"words": COMMAND_WORDS, "unknown": True, "silence": True, "unknown_ratio": 3.0}


def _general(pretrained_network: bool) -> dict[str, Config]:
    """Return the variants that use the speech embedding where its weights are installed, else a small network."""
    default, synthetic = SMALL, _SMALL_SYNTHETIC
    if pretrained_network:
        default = dataclasses.replace(SMALL, **_PRETRAINED, **_LESS_AUGMENTATION)
        synthetic = dataclasses.replace(_SMALL_SYNTHETIC, **_PRETRAINED)
    return {"default": default, "twelve": dataclasses.replace(default, **_TWELVE), "synthetic": synthetic}


GENERAL_VARIANTS = tuple(_general(False))

# BC-ResNet-1 with its authors' recipe (arXiv 2106.04140): 200 epochs of SGD with shift and noise. The authors use
# SpecAugment only for tau >= 1.5.
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

# What each encoder's variant changes in `_BASE`: published features and sizes, shared augmentation.
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
    "speech_embedding": {
        "epochs": 20,
        "learning_rate": 3e-3,
        "weight_decay": 0.05,
        "fine_tune": True,
        "fine_tune_rate": 0.3,
    },
    "embedding": {"epochs": 20, "learning_rate": 2e-3, "dropout": 0.2},
}

# One to twenty recordings of each word. The settings of training are those of the head `convolutions`.
_FEW = Config(
    corpus="folder",
    model="speech_embedding",
    head=AUTO,
    epochs=6,
    epoch_examples=1600,
    learning_rate=3e-3,
    weight_decay=0.05,
    dropout=0.2,
    label_smoothing=0.1,
    reverberation_probability=0.3,
    max_time_mask=0,
    max_frequency_mask=0,
)

VARIANTS = {
    **_general(pretrained.is_installed()),
    "small": SMALL,
    "bc_resnet_1": _BC_RESNET_1,
    "report": _report(),
    "few": _FEW,
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
