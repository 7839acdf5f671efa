"""Augmentation: choose excerpts of tracks (NumPy, from a seed and a step), and change them (TensorFlow).

Step i of a seed is always the same, whatever was drawn before, so a resumed training sees the same examples.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from common import audio
from common.augmentation import waveform
from common.data.excerpts import Places
from common.data.track_bank import TrackBank
from separation.config import Config

# Training excerpts have a multiple of this length, for which FFTs are fast.
_CUT_MULTIPLE = 1024


@dataclasses.dataclass(frozen=True)
class Changes:
    """The largest changes of speed, pitch and tempo, as factors; 1 means no change."""

    speed: float
    pitch: float
    tempo: float

    @classmethod
    def of(cls, config: Config) -> "Changes":
        """Read them from a configuration."""
        return cls(1 + config.max_speed, 2 ** (config.max_pitch_semitones / 12), 1 + config.max_tempo)

    @property
    def longest(self) -> float:
        """Largest ratio between the length of an excerpt and the length of a window."""
        return self.speed * self.tempo * (self.pitch if self.pitch > 1 else 1.0)


def cut_samples(config: Config) -> int:
    """Return the length of a training excerpt in samples; longer than a window if excerpts may be sped up."""
    factor = Changes.of(config).longest
    if factor == 1:
        return config.window_samples
    return int(np.ceil(config.window_samples * factor / _CUT_MULTIPLE)) * _CUT_MULTIPLE


def draw(config: Config, bank: TrackBank, num_examples: int, num_samples: int, seed: tuple[int, int]) -> Places:
    """Draw excerpts of random songs; with `remix_probability`, draw each stem from its own random song.

    The probability of a track is proportional to its length. An excerpt is silent beyond the end of its track.

    Args:
        config: Gives `remix_probability`.
        bank: The tracks.
        num_examples: Number of examples.
        num_samples: Length of an excerpt in samples.
        seed: Two integers that determine the result.
    """
    rng = np.random.default_rng(seed)
    num_stems = len(bank.stems)
    lengths = np.array([len(pcm) for pcm in bank.pcm])
    tracks = np.repeat(rng.choice(len(lengths), (num_examples, 1), p=lengths / lengths.sum()), num_stems, axis=1)
    places = rng.random((num_examples, 1)).repeat(num_stems, axis=1)
    mixed = rng.random((num_examples, 1)) < config.remix_probability
    tracks = np.where(mixed, rng.choice(len(lengths), tracks.shape, p=lengths / lengths.sum()), tracks)
    places = np.where(mixed, rng.random(tracks.shape), places)
    # An excerpt of a short track starts at sample 0; in other tracks all starts are equally likely.
    starts = np.floor(places * np.maximum(lengths[tracks] - num_samples + 1, 1)).astype(np.int64)
    return Places(tracks, starts)


def change(config: Config, cuts: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Augment excerpts at random.

    Gain, channel swap and sign are drawn for each stem; speed, pitch and tempo are common to all stems of an example.

    Args:
        config: The ranges and probabilities of the changes.
        cuts: Excerpts, int16 `(batch, stems, samples, channels)`, `cut_samples` long.
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
    """Change speed, pitch and tempo; the same for all stems of an example, which share tempo and key."""
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
