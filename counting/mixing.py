"""Mixtures of speakers: choosing speakers and excerpts (NumPy), and mixing and augmenting them (TensorFlow).

The choice depends only on the seed and the number of the mixture, not on the batch size or on earlier mixtures. So a
resumed training and a repeated evaluation use the same mixtures.
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

# Lowest level of background noise without speakers, in dBFS: pauses can be quieter than any mixture.
_QUIETEST_DB = -70.0
_LOUDEST_MEAN_DB = -35.0
# Fraction of coloured noise among varied noise.
_COLOURED_FRACTION = 0.25


@dataclasses.dataclass(frozen=True)
class Source:
    """The speakers and recordings that the mixtures of a split are drawn from.

    Attributes:
        bank: The recordings.
        speakers: Names of the available speakers.
        sexes: Sex of each speaker, `F`, `M` or empty, shape `(speakers,)`.
        places: For each speaker, the positions in the bank at which excerpts may start.
        cut_samples: Length of an excerpt in samples.
    """

    bank: SpeechBank
    speakers: tuple[str, ...]
    sexes: np.ndarray
    places: tuple[np.ndarray, ...]
    cut_samples: int


class Drawn(NamedTuple):
    """The speakers and excerpts of mixtures.

    `counts` `(mixtures,)`: number of mixed speakers. `speakers` `(mixtures, max_speakers)`: indices of the source's
    speakers. `positions` `(mixtures, max_speakers)`: positions in its bank at which their excerpts start. Unused
    entries are -1.
    """

    counts: np.ndarray
    speakers: np.ndarray
    positions: np.ndarray


def open_source(
    config: Config, bank: SpeechBank, split: str, *, varied: bool = False, sexes_needed: bool = True
) -> Source:
    """Find the speakers that can be mixed.

    Args:
        config: Defines which excerpts are allowed.
        bank: The recordings of a split.
        split: Name of the split, for error messages.
        varied: Whether the speed of excerpts will be changed, for which they must be longer.
        sexes_needed: Whether the head `sex` requires the sex of all speakers; counting alone does not.

    Raises:
        UserError: Too few speakers have such excerpts, or the sex of a speaker is needed and unknown.
    """
    cut_samples = _cut_samples(config, varied)
    places = bank.places(cut_samples, config.min_activity if config.cuts == "voiced" else 0.0)
    speakers = tuple(name for name in places if name)
    if len(speakers) < config.max_speakers:
        total = bank.table["speaker"].replace("", np.nan).nunique()
        longest = bank.table["num_samples"].max() / bank.sample_rate if len(bank.table) else 0
        excerpts = f"{'voiced ' if config.cuts == 'voiced' else ''}excerpts of {cut_samples / config.sample_rate:.3g} s"
        raise UserError(
            f"the {split} split has {len(speakers)} speakers with {excerpts}, expected at least --max_speakers="
            f"{config.max_speakers} (of {total} speakers; the longest recording lasts {longest:.3g} s); add recordings,"
            " or reduce --max_speakers, --clip_seconds or --min_activity, or use --cuts=random"
        )
    sexes = speech_bank.sexes(bank, speakers)
    if config.head == "sex" and sexes_needed and "" in sexes:
        unknown = speakers[list(sexes).index("")]
        raise UserError(
            f"--head=sex needs the sex of every speaker, but that of {unknown} is unknown ({(sexes == '').sum()} of"
            f" {len(speakers)} in {split}); add it to speakers.csv (or SPEAKERS.TXT), or use --head=class"
        )
    return Source(bank, speakers, sexes, tuple(places[name] for name in speakers), cut_samples)


def _cut_samples(config: Config, varied: bool) -> int:
    """Length of an excerpt in samples; longer if it may be sped up."""
    if not varied or not config.max_speed:
        return config.num_samples
    # A multiple of 1024, for a fast FFT.
    return int(np.ceil(config.num_samples * (1 + config.max_speed) / 1024)) * 1024


def draw(source: Source, numbers: Sequence[int], counts: Sequence[int], max_speakers: int, seed: int) -> Drawn:
    """Draw the speakers of each mixture without replacement, and an excerpt of each speaker.

    Args:
        source: The speakers and recordings to draw from.
        numbers: Numbers of the mixtures, shape `(mixtures,)`.
        counts: Number of speakers of each mixture.
        max_speakers: Largest number of speakers in a mixture.
        seed: Random seed, combined with the number of each mixture.
    """
    speakers = np.full((len(numbers), max_speakers), -1, np.int32)
    positions = np.full((len(numbers), max_speakers), -1, np.int64)
    for index, (number, count) in enumerate(zip(numbers, counts, strict=True)):
        rng = np.random.default_rng([seed, int(number)])
        chosen = rng.choice(len(source.speakers), count, replace=False)
        speakers[index, :count] = chosen
        for place, speaker in enumerate(chosen):
            starts = source.places[speaker]
            positions[index, place] = starts[rng.integers(len(starts))]
    return Drawn(np.asarray(counts, np.int32), speakers, positions)


def balanced_counts(config: Config, numbers: np.ndarray) -> np.ndarray:
    """Return the number of speakers of each mixture, cycling through the counts."""
    return np.array(config.counts, np.int32)[np.asarray(numbers) % len(config.counts)]


def truth(config: Config, source: Source, drawn: Drawn) -> np.ndarray:
    """Return the true numbers of women and men of each mixture, shape `(mixtures, 2)`; see `heard`.

    Speakers of unknown sex are counted as men; only the sum is meaningful then.
    """
    counted = heard(config, source, drawn)
    female = (source.sexes[drawn.speakers] == "F") & counted
    return np.stack([female.sum(axis=1), (counted & ~female).sum(axis=1)], axis=1).astype(np.int32)


def heard(config: Config, source: Source, drawn: Drawn) -> np.ndarray:
    """Return which speakers of each mixture belong to the true count, shape `(mixtures, max_speakers)`.

    With `label_rule="mixed"` all mixed speakers; with `"active"` those active in the 10 ms frame with the most active
    speakers (the first such frame), as in CountNet.
    """
    mixed = drawn.speakers >= 0
    if config.label_rule == "mixed":
        return mixed
    bank = source.bank
    first = np.maximum(drawn.positions, 0) // bank.frame_samples
    # Only the middle of the excerpt is used.
    first += (source.cut_samples - config.num_samples) // 2 // bank.frame_samples
    frames = first[..., None] + np.arange(config.num_samples // bank.frame_samples)
    active = (bank.active[frames + 1] > bank.active[frames]) & mixed[..., None]
    fullest = active.sum(axis=1).argmax(axis=-1)
    return np.take_along_axis(active, fullest[:, None, None], axis=2)[..., 0]


def mix(
    config: Config, cuts: tf.Tensor, counts: tf.Tensor, seed: tf.Tensor, noise_bank: tf.Tensor | None = None
) -> tf.Tensor:
    """Augment and mix excerpts.

    Args:
        config: Settings for speed, reverberation, noise and levels.
        cuts: Excerpts, int16, shape `(batch, max_speakers, cut_samples)`.
        counts: Number of excerpts to mix, the first ones of each row, shape `(batch,)`.
        seed: Shape `(2,)`; the same seed gives the same result.
        noise_bank: Recorded noise `(clips, num_samples)`; None means generated coloured noise.

    Returns:
        Waveforms, shape `(batch, num_samples)` float32.
    """
    batch = tf.shape(cuts)[0]
    seeds = tf.unstack(tf.random.split(seed, 8))
    present = tf.sequence_mask(counts, cuts.shape[1])
    mixture = tf.cast(tf.where(present)[:, 0], tf.int32)
    # Process only the excerpts in use, to save work: mixtures of 1 to 3 speakers leave a third of the rows empty.
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
    """Apply a random speed, reverberation and level to each speaker, and crop the middle to the length of a clip."""
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
    """Draw RMS levels, uniform in dBFS, and return them as amplitudes, shape `(batch, 1)`."""
    return tf.pow(10.0, tf.random.stateless_uniform((batch, 1), seed, low_db, high_db) / 20)


def _noises(config: Config, noise_bank: tf.Tensor | None, batch: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw background noise, shape `(batch, num_samples)`."""
    if noise_bank is None:
        return waveform.colored_noise((batch, config.num_samples), seed)
    seeds = tf.unstack(tf.random.split(seed, 5))

    def recorded(seed: tf.Tensor) -> tf.Tensor:
        return tf.gather(noise_bank, tf.random.stateless_uniform([batch], seed, 0, tf.shape(noise_bank)[0], tf.int32))

    noises = recorded(seed)
    if config.vary_noise:
        # Without variation the model overfits to a small noise corpus.
        second = tf.reverse(_normalize(recorded(seeds[0])), [1])
        noises = _normalize(noises) + tf.random.stateless_uniform((batch, 1), seeds[1]) * second
        is_coloured = tf.random.stateless_uniform((batch, 1), seeds[2]) < _COLOURED_FRACTION
        coloured = waveform.colored_noise((batch, config.num_samples), seeds[3])
        noises = tf.where(is_coloured, coloured, noises)
        backwards = tf.random.stateless_uniform((batch, 1), seeds[4]) < 0.5
        noises = tf.where(backwards, tf.reverse(noises, [1]), noises)
    return noises


def _normalize(waveforms: tf.Tensor) -> tf.Tensor:
    """Normalize every waveform to an RMS of 1; silence stays silent."""
    rms = tf.sqrt(tf.reduce_mean(tf.square(waveforms), axis=1, keepdims=True))
    return tf.math.divide_no_nan(waveforms, rms)
