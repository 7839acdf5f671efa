"""Mixtures of speakers: which cuts of whom (numpy, from a seed and a number), and how they sound together (TensorFlow).

Mixture number i of a seed is always the same, whatever the batch size and whatever was drawn before, so a resumed
training and a repeated evaluation hear what they would have heard.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from common import audio
from common.augmentation import waveform
from common.data import speech_bank
from common.data.speech_bank import SpeechBank
from common.errors import UserError
from counting.config import Config

# Lowest level of background noise alone, in dB of full scale: pauses are quieter than any mixture.
_QUIETEST_DB = -70.0
_LOUDEST_MEAN_DB = -35.0
# Of varied noise so much is none that was recorded.
_COLOURED_SHARE = 0.25


@dataclasses.dataclass(frozen=True)
class Source:
    """Whom a split's mixtures are drawn from.

    Attributes:
        bank: The recordings.
        speakers: Those who can be heard, by name.
        sexes: The sex of each, `F`, `M` or empty, shape `(speakers,)`.
        places: For each, where in the bank cuts may begin.
        cut_samples: Length of a cut.
    """

    bank: SpeechBank
    speakers: tuple[str, ...]
    sexes: np.ndarray
    places: tuple[np.ndarray, ...]
    cut_samples: int


class Drawn(NamedTuple):
    """Which cuts make some mixtures.

    `counts` `(mixtures,)`: how many speakers are mixed. `speakers` and `positions` `(mixtures, max_speakers)`: which
    of the source's speakers, and where in its bank their cuts begin; -1 where there is none.
    """

    counts: np.ndarray
    speakers: np.ndarray
    positions: np.ndarray


def open_source(
    config: Config, bank: SpeechBank, split: str, *, varied: bool = False, sexes_needed: bool = True
) -> Source:
    """Find out who can be mixed.

    Args:
        config: Says which cuts are wanted.
        bank: The recordings of a split.
        split: Its name, for messages.
        varied: Whether cuts will be played at other speeds, for which they have to be longer.
        sexes_needed: Whether the head `sex` wants to know everybody's; to be counted nobody has to tell.

    Raises:
        UserError: Too few speakers have such cuts.
    """
    cut_samples = _cut_samples(config, varied)
    places = bank.places(cut_samples, config.min_activity if config.cuts == "voiced" else 0.0)
    speakers = tuple(name for name in places if name)
    if len(speakers) < config.max_speakers:
        total = bank.table["speaker"].replace("", np.nan).nunique()
        longest = bank.table["num_samples"].max() / bank.sample_rate if len(bank.table) else 0
        cuts = f"{'voiced ' if config.cuts == 'voiced' else ''}cuts of {cut_samples / config.sample_rate:.3g} s"
        raise UserError(
            f"the {split} split has {len(speakers)} speakers with {cuts}, too few for --max_speakers="
            f"{config.max_speakers} (it has {total} speakers, the longest recording lasts {longest:.3g} s): add"
            " recordings, or take fewer --max_speakers, shorter --clip_seconds, less --min_activity or --cuts=random"
        )
    sexes = speech_bank.sexes(bank, speakers)
    if config.head == "sex" and sexes_needed and "" in sexes:
        unknown = speakers[list(sexes).index("")]
        raise UserError(
            f"--head=sex needs the sex of every speaker, and that of {unknown} is not known ({(sexes == '').sum()} of"
            f" {len(speakers)} in {split}): name it in speakers.csv (or SPEAKERS.TXT), or count only: --head=class"
        )
    return Source(bank, speakers, sexes, tuple(places[name] for name in speakers), cut_samples)


def _cut_samples(config: Config, varied: bool) -> int:
    """Length of a cut: what is played faster has to be longer."""
    if not varied or not config.max_speed:
        return config.num_samples
    # A length that the Fourier transform is fast with.
    return int(np.ceil(config.num_samples * (1 + config.max_speed) / 1024)) * 1024


def draw(source: Source, numbers: Sequence[int], counts: Sequence[int], max_speakers: int, seed: int) -> Drawn:
    """Draw different speakers, and a cut of each.

    Args:
        source: Whom to draw from.
        numbers: Which mixtures of the seed, shape `(mixtures,)`.
        counts: How many speakers each has.
        max_speakers: Most that any may have.
        seed: Decides all draws.
    """
    speakers = np.full((len(numbers), max_speakers), -1, np.int32)
    positions = np.full((len(numbers), max_speakers), -1, np.int64)
    for index, (number, count) in enumerate(zip(numbers, counts, strict=True)):
        rng = np.random.default_rng([seed, int(number)])
        chosen = rng.choice(len(source.speakers), count, replace=False)
        speakers[index, :count] = chosen
        for place, speaker in enumerate(chosen):
            own = source.places[speaker]
            positions[index, place] = own[rng.integers(len(own))]
    return Drawn(np.asarray(counts, np.int32), speakers, positions)


def balanced_counts(config: Config, numbers: np.ndarray) -> np.ndarray:
    """Return how many speakers each mixture has: all counts in turn."""
    return np.array(config.counts, np.int32)[np.asarray(numbers) % len(config.counts)]


def truth(config: Config, source: Source, drawn: Drawn) -> np.ndarray:
    """Return how many women and men each mixture is said to have, shape `(mixtures, 2)`; see `heard`.

    Speakers of unknown sex stand with the men: only the sum counts then.
    """
    counted = heard(config, source, drawn)
    female = (source.sexes[drawn.speakers] == "F") & counted
    return np.stack([female.sum(axis=1), (counted & ~female).sum(axis=1)], axis=1).astype(np.int32)


def heard(config: Config, source: Source, drawn: Drawn) -> np.ndarray:
    """Say which speakers of each mixture count, shape `(mixtures, max_speakers)`.

    With `label_rule="mixed"` all that were mixed; with `"active"` those who speak in the first frame of 10 ms in which
    most speak at once, as CountNet counts.
    """
    mixed = drawn.speakers >= 0
    if config.label_rule == "mixed":
        return mixed
    bank = source.bank
    first = np.maximum(drawn.positions, 0) // bank.frame_samples
    # The middle of the cut is what is heard, whatever its length.
    first += (source.cut_samples - config.num_samples) // 2 // bank.frame_samples
    frames = first[..., None] + np.arange(config.num_samples // bank.frame_samples)
    active = (bank.active[frames + 1] > bank.active[frames]) & mixed[..., None]
    fullest = active.sum(axis=1).argmax(axis=-1)
    return np.take_along_axis(active, fullest[:, None, None], axis=2)[..., 0]


def mix(
    config: Config, cuts: tf.Tensor, counts: tf.Tensor, seed: tf.Tensor, noise_bank: tf.Tensor | None = None
) -> tf.Tensor:
    """Mix cuts as the configuration says.

    Args:
        config: Speeds, rooms, noise and levels.
        cuts: int16, shape `(batch, max_speakers, cut_samples)`.
        counts: How many of them there are, the first ones, shape `(batch,)`.
        seed: Shape `(2,)`; the same seed gives the same result.
        noise_bank: Recorded noise `(clips, num_samples)`; None draws coloured noise instead.

    Returns:
        Waveforms, shape `(batch, num_samples)` float32.
    """
    batch = tf.shape(cuts)[0]
    seeds = tf.unstack(tf.random.split(seed, 8))
    present = tf.sequence_mask(counts, cuts.shape[1])
    mixture = tf.cast(tf.where(present)[:, 0], tf.int32)
    # Only what is there is worked on: half of the places of a mixture of one to three are empty.
    voices = tf.cast(tf.boolean_mask(cuts, present), tf.float32) / audio.PCM16_SCALE
    voices = tf.ensure_shape(voices, (None, cuts.shape[2]))
    voices = _change_voices(config, voices, seeds)
    waveforms = tf.math.unsorted_segment_sum(voices, mixture, batch)
    if config.level_rule == "mean":
        waveforms /= tf.cast(tf.maximum(counts, 1), tf.float32)[:, None]

    noises = _noises(config, noise_bank, batch, seeds[3])
    if config.noise_probability:
        waveforms = waveform.add_noise(
            waveforms, noises, seeds[4], config.min_snr_db, config.max_snr_db, probability=config.noise_probability
        )
    if config.level_rule != "mean":
        waveforms = _draw_levels(batch, seeds[5], config.min_level_db, config.max_level_db) * _normalize(waveforms)
    if config.min_speakers == 0:
        loudest = _LOUDEST_MEAN_DB if config.level_rule == "mean" else config.max_level_db
        background = _draw_levels(batch, seeds[6], _QUIETEST_DB, loudest) * _normalize(noises)
        waveforms = tf.where(counts[:, None] == 0, background, waveforms)
    return tf.ensure_shape(waveforms, (None, config.num_samples))


def _change_voices(config: Config, voices: tf.Tensor, seeds: list[tf.Tensor]) -> tf.Tensor:
    """Give every speaker a speed, a room and a level of their own, and cut the clip out of the middle."""
    if config.max_speed:
        voices = waveform.speed(voices, seeds[0], 1 - config.max_speed, 1 + config.max_speed)
    first = (voices.shape[1] - config.num_samples) // 2
    voices = voices[:, first : first + config.num_samples]
    if config.reverberation_probability:
        voices = waveform.reverberate(
            voices,
            seeds[1],
            (config.min_rt60_seconds, config.max_rt60_seconds),
            config.sample_rate,
            probability=config.reverberation_probability,
        )
    if config.level_rule == "drawn":
        voices = waveform.gain(_normalize(voices), seeds[2], -config.speaker_gain_db, config.speaker_gain_db)
    return voices


def _draw_levels(batch: tf.Tensor, seed: tf.Tensor, low_db: float, high_db: float) -> tf.Tensor:
    """Draw root mean squares, uniform in decibels of full scale, shape `(batch, 1)`."""
    return tf.pow(10.0, tf.random.stateless_uniform((batch, 1), seed, low_db, high_db) / 20)


def _noises(config: Config, noise_bank: tf.Tensor | None, batch: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw background noise, shape `(batch, num_samples)`."""
    if noise_bank is None:
        return waveform.colored_noise((batch, config.num_samples), seed)
    seeds = tf.unstack(tf.random.split(seed, 5))

    def recorded(own: tf.Tensor) -> tf.Tensor:
        return tf.gather(noise_bank, tf.random.stateless_uniform([batch], own, 0, tf.shape(noise_bank)[0], tf.int32))

    noises = recorded(seed)
    if config.vary_noise:
        # Few recordings would be learnt by heart.
        second = tf.reverse(_normalize(recorded(seeds[0])), [1])
        noises = _normalize(noises) + tf.random.stateless_uniform((batch, 1), seeds[1]) * second
        is_coloured = tf.random.stateless_uniform((batch, 1), seeds[2]) < _COLOURED_SHARE
        coloured = waveform.colored_noise((batch, config.num_samples), seeds[3])
        noises = tf.where(is_coloured, coloured, noises)
        backwards = tf.random.stateless_uniform((batch, 1), seeds[4]) < 0.5
        noises = tf.where(backwards, tf.reverse(noises, [1]), noises)
    return noises


def _normalize(waveforms: tf.Tensor) -> tf.Tensor:
    """Give every waveform a root mean square of 1; silence stays silent."""
    rms = tf.sqrt(tf.reduce_mean(tf.square(waveforms), axis=1, keepdims=True))
    return tf.math.divide_no_nan(waveforms, rms)
