"""New songs from old ones: which excerpts of which tracks (numpy, from a seed and a step), and how they are changed
(TensorFlow).

Step i of a seed is always the same, whatever was drawn before, so a resumed training hears what it would have heard.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from common import audio
from common.augmentation import waveform
from common.data.excerpts import Places
from common.data.track_bank import TrackBank
from separation.config import Config

# Cuts are multiples of this, lengths that the Fourier transform is fast with.
_CUT_MULTIPLE = 1024


@dataclasses.dataclass(frozen=True)
class Changes:
    """Whether and how far excerpts are played at other speeds, pitches and tempi, as factors."""

    speed: float
    pitch: float
    tempo: float

    @classmethod
    def of(cls, config: Config) -> "Changes":
        """Read them from a configuration."""
        return cls(1 + config.max_speed, 2 ** (config.max_pitch_semitones / 12), 1 + config.max_tempo)

    @property
    def longest(self) -> float:
        """By how much a cut has to be longer than what it fills."""
        return self.speed * self.tempo * (self.pitch if self.pitch > 1 else 1.0)


def cut_samples(config: Config) -> int:
    """Return the length of a training cut: what is played faster has to be longer."""
    factor = Changes.of(config).longest
    if factor == 1:
        return config.window_samples
    return int(np.ceil(config.window_samples * factor / _CUT_MULTIPLE)) * _CUT_MULTIPLE


def draw(config: Config, bank: TrackBank, num_examples: int, num_samples: int, seed: tuple[int, int]) -> Places:
    """Draw excerpts of random songs, or with `remix_probability` each stem from another song.

    Long tracks are drawn more often than short ones: every second of the bank is as likely. An excerpt may reach beyond
    the end of its track, where there is silence.

    Args:
        config: Says how many are mixed.
        bank: The tracks.
        num_examples: How many.
        num_samples: Length of an excerpt.
        seed: Two integers that decide all draws.
    """
    rng = np.random.default_rng(seed)
    num_stems = len(bank.stems)
    lengths = np.array([len(pcm) for pcm in bank.pcm])
    tracks = np.repeat(rng.choice(len(lengths), (num_examples, 1), p=lengths / lengths.sum()), num_stems, axis=1)
    places = rng.random((num_examples, 1)).repeat(num_stems, axis=1)
    mixed = rng.random((num_examples, 1)) < config.remix_probability
    tracks = np.where(mixed, rng.choice(len(lengths), tracks.shape, p=lengths / lengths.sum()), tracks)
    places = np.where(mixed, rng.random(tracks.shape), places)
    # Short tracks begin with the excerpt; of others every sample is about as likely.
    starts = np.floor(places * np.maximum(lengths[tracks] - num_samples + 1, 1)).astype(np.int64)
    return Places(tracks, starts)


def change(config: Config, cuts: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Change excerpts as the configuration says, each stem for itself but for speed, pitch and tempo.

    Args:
        config: Gains, sides, signs, speeds, pitches and tempi.
        cuts: int16 `(batch, stems, samples, channels)`, `cut_samples` long.
        seed: Shape `(2,)`; the same seed gives the same result.

    Returns:
        Waveforms `(batch, stems, window_samples, channels)` float32; their sum is the mixture.
    """
    stems = tf.cast(cuts, tf.float32) / audio.PCM16_SCALE
    seeds = tf.unstack(tf.random.split(seed, 6))
    stems = _change_time(config, stems, seeds[:3])
    shape = tf.shape(stems)[:2]

    def drawn(index: int) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, seeds[index])[..., None, None]

    if config.max_gain != 1 or config.min_gain != 1:
        stems *= config.min_gain + (config.max_gain - config.min_gain) * drawn(3)
    if config.swap_probability and cuts.shape[3] == 2:
        stems = tf.where(drawn(4) < config.swap_probability, tf.reverse(stems, [-1]), stems)
    if config.flip_probability:
        stems = tf.where(drawn(5) < config.flip_probability, -stems, stems)
    return stems


def _change_time(config: Config, stems: tf.Tensor, seeds: list[tf.Tensor]) -> tf.Tensor:
    """Play at another speed, pitch and tempo; all stems of an example alike, for one song has one tempo and key."""
    _, num_stems, num_samples, channels = stems.shape
    changes = Changes.of(config)
    if changes.longest > 1:
        rows = tf.reshape(tf.transpose(stems, [0, 1, 3, 2]), [-1, num_samples])

        def rates(largest: float, seed: tf.Tensor) -> tf.Tensor:
            exponents = tf.random.stateless_uniform((tf.shape(stems)[0], 1), seed, -1.0, 1.0)
            return tf.repeat(tf.pow(largest, exponents), num_stems * channels, axis=0)

        pitch = rates(changes.pitch, seeds[1])
        if config.max_speed or config.max_pitch_semitones:
            rows = waveform.play_at(rows, rates(changes.speed, seeds[0]) * pitch)
        if config.max_tempo or config.max_pitch_semitones:
            rows = waveform.stretch(rows, rates(changes.tempo, seeds[2]) / pitch)
        stems = tf.transpose(tf.reshape(rows, [-1, num_stems, channels, num_samples]), [0, 1, 3, 2])
    first = (num_samples - config.window_samples) // 2
    return stems[:, :, first : first + config.window_samples]
