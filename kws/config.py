"""What a keyword spotter can be: its configuration and the named variants."""

import dataclasses

from common.config import TrainingConfig, field
from common.corpora import CORPORA
from common.encoders import ENCODERS
from common.errors import UserError, nearest

TASK = "kws"
COMMAND_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
SILENCE, UNKNOWN = "_silence_", "_unknown_"


@dataclasses.dataclass(frozen=True)
class Config(TrainingConfig):
    """Configuration of a keyword spotter; the defaults are those of the variant `default`.

    The waveform is cut or padded to `clip_seconds`, turned into features inside the model, encoded, and classified.
    """

    corpus: str = field("synthetic", "synthetic, speech_commands, folder, or several separated by commas")
    words: tuple[str, ...] = field(
        (), "the keywords, separated by commas; unless given the ten command words, or every class of a folder"
    )
    unknown: bool = field(False, "add the class _unknown_ for other words")
    silence: bool = field(False, "add the class _silence_ for noise without speech")
    split_rule: str = field(
        "official",
        "official keeps speakers apart; random mixes them, 81/9/10 % as in the report",
        choices=("official", "random"),
    )
    language: str = field("en", "language of the synthetic corpus, as espeak-ng names it")
    clips_per_word: int = field(300, "clips of each word in the synthetic corpus", minimum=10)

    sample_rate: int = field(16000, "rate the model works at, in hertz; files of any rate are resampled", minimum=1000)
    clip_seconds: float = field(1.0, "length of a clip in seconds", minimum=0.1, maximum=60)
    features: str = field("log_mel", "what a network of spectrograms sees", choices=("log_mel", "mfcc"))
    n_fft: int = field(512, "samples of the Fourier transform", minimum=16)
    win_length: int = field(480, "samples of the analysis window", minimum=16)
    hop_length: int = field(160, "samples between frames", minimum=1)
    num_mels: int = field(40, "mel bands", minimum=1)
    num_mfcc: int = field(13, "cepstral coefficients, with --features=mfcc", minimum=1)

    model: str = field("bc_resnet", "the network", choices=tuple(ENCODERS))
    tau: float = field(2.0, "width of BC-ResNet", minimum=0.5, maximum=16)
    dropout: float = field(0.1, "dropout inside the network", minimum=0, maximum=0.9)
    label_smoothing: float = field(0.0, "share of a label spread over the other classes", minimum=0, maximum=0.5)

    noise_dir: str = field("", "folder of background noise for training (any audio files, or the layout of ESC-50)")
    max_shift_ms: float = field(100.0, "training clips move by up to this, in milliseconds", minimum=0)
    max_gain_db: float = field(6.0, "training clips get up to this much louder or quieter, in dB", minimum=0)
    max_speed: float = field(
        0.15, "training clips are played up to this share faster or slower", minimum=0, maximum=0.5
    )
    noise_probability: float = field(0.5, "share of training clips that get background noise", minimum=0, maximum=1)
    min_snr_db: float = field(10.0, "lowest signal-to-noise ratio drawn, in dB")
    max_snr_db: float = field(40.0, "highest signal-to-noise ratio drawn, in dB")
    reverberation_probability: float = field(0.0, "share of training clips put into a room", minimum=0, maximum=1)
    max_time_mask: int = field(10, "longest time mask of SpecAugment, in frames; 0 for none", minimum=0)
    max_frequency_mask: int = field(3, "widest frequency mask of SpecAugment, in bins; 0 for none", minimum=0)

    def __post_init__(self):
        """Check the fields, and those that depend on one another."""
        super().__post_init__()
        if self.win_length > self.n_fft:
            raise UserError(f"--win_length: expected at most --n_fft={self.n_fft}, got {self.win_length}")
        if self.num_mfcc > self.num_mels:
            raise UserError(f"--num_mfcc: expected at most --num_mels={self.num_mels}, got {self.num_mfcc}")
        if self.min_snr_db > self.max_snr_db:
            raise UserError(f"--min_snr_db: expected at most --max_snr_db={self.max_snr_db}, got {self.min_snr_db}")
        duplicates = {word for word in self.words if self.words.count(word) > 1}
        if duplicates:
            raise UserError(f"--words: {', '.join(sorted(duplicates))} stands there twice; give each word once")
        names = self.corpus.split(",")
        unknown = [name for name in names if name not in KWS_CORPORA]
        if unknown:
            hint = nearest(unknown[0], KWS_CORPORA)
            raise UserError(f"--corpus: expected one or several of {', '.join(KWS_CORPORA)}, got {unknown[0]!r}.{hint}")

    @property
    def num_samples(self) -> int:
        """Samples of a clip."""
        return round(self.clip_seconds * self.sample_rate)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the model's outputs."""
        return (*self.words, *((SILENCE,) if self.silence else ()), *((UNKNOWN,) if self.unknown else ()))


# Those of the toolkit's corpora that say which word was spoken.
KWS_CORPORA = tuple(name for name in CORPORA if name in ("synthetic", "speech_commands", "folder"))


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
        sample_rate=22050,
        features="mfcc",
        n_fft=2048,
        win_length=2048,
        hop_length=512,
        num_mels=128,
        num_mfcc=13,
        model="report_cnn",
        dropout=0.3,
        max_shift_ms=0.0,
        max_gain_db=0.0,
        max_speed=0.0,
        noise_probability=0.0,
        max_time_mask=0,
        max_frequency_mask=0,
    )


DEFAULT = Config(
    epochs=40,
    batch_size=50,
    learning_rate=5e-3,
    optimizer="adamw",
    schedule="cosine",
    warmup_epochs=2,
    weight_decay=0.01,
)

VARIANTS = {
    "default": DEFAULT,
    "twelve": dataclasses.replace(DEFAULT, words=COMMAND_WORDS, unknown=True, silence=True),
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
}
