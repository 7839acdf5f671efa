"""From probabilities to answers: how many, how many women and men, and when.

The same arithmetic answers in evaluation, in `predict` and in the exported model: the count is the one with the largest
probability, and women and men are the likeliest pair of that sum.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from common import audio
from common.audio import blocks as audio_blocks
from counting.config import Config
from counting.models import count_matrix

_BATCH_SIZE = 64
# A recording up to this many windows long gets one answer instead of a timeline.
_LONGEST_CLIP = 1.5


@dataclasses.dataclass(frozen=True)
class Answer:
    """How many people speak in a stretch of a recording.

    Attributes:
        start: Its beginning in seconds.
        end: Its end in seconds.
        count: How many speak at once; nobody in digital silence, also where the model knows no such count.
        female: How many of them are women; None where the model does not know sexes.
        male: How many are men, or None.
        probability: Of the count.
    """

    start: float
    end: float
    count: int
    female: int | None
    male: int | None
    probability: float


def decide(config: Config, probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
    """Turn a model's output into answers.

    Args:
        config: Of the model.
        probabilities: Shape `(batch, labels)`.

    Returns:
        `count` int32 `(batch,)`, `count_probabilities` `(batch, counts)`, `probabilities` as they are, and with the head
        `sex` also `female` and `male`, int32 `(batch,)`, whose sum is `count`.
    """
    matrix = tf.constant(count_matrix(config))
    of_counts = probabilities @ matrix
    best = tf.argmax(of_counts, axis=-1, output_type=tf.int32)
    answer = {
        "count": best + config.min_speakers,
        "count_probabilities": of_counts,
        "probabilities": tf.identity(probabilities),
    }
    if config.head == "sex":
        of_that_sum = probabilities * tf.gather(tf.transpose(matrix), best)
        pair = tf.argmax(of_that_sum, axis=-1, output_type=tf.int32)
        female, male = (tf.constant(column, tf.int32) for column in zip(*config.sexes, strict=True))
        answer |= {"female": tf.gather(female, pair), "male": tf.gather(male, pair)}
    return answer


def timeline(model: keras.Model, config: Config, blocks: Iterable[np.ndarray], hop_seconds: float) -> Iterator[Answer]:
    """Answer for each window of a recording, however long: no more than a few windows are held in memory.

    Args:
        model: From `load_model`.
        config: From `load_model`.
        blocks: The recording at the configuration's rate, from `common.audio.blocks.blocks`.
        hop_seconds: Time between two windows; at most a window.

    Yields:
        Of each window the stretch of `hop_seconds` in its middle, with its answer; the first reaches back to the
        recording's beginning, the last on to its end.
    """
    hop = round(min(hop_seconds, config.clip_seconds) * config.sample_rate)
    margin = (config.num_samples - hop) // 2
    total = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal total
        for block in blocks:
            total += len(block)
            yield block

    pending: Answer | None = None
    for starts, waveforms in audio_blocks.windows(counted(), config.num_samples, hop, _BATCH_SIZE):
        # Two shapes only, so that the model is compiled for no more: one window, which a clip is, and a full batch.
        filled = np.zeros((1 if len(waveforms) == 1 else _BATCH_SIZE, config.num_samples), np.float32)
        filled[: len(waveforms)] = waveforms
        answers = {name: value.numpy() for name, value in decide(config, model.predict_on_batch(filled)).items()}
        for index, start in enumerate(starts.tolist()):
            first = 0
            if pending is not None:
                yield pending
                # The last window may be nearer to the one before; stretches follow each other all the same.
                first = round(pending.end * config.sample_rate)
            silent = audio.is_silent(waveforms[index])
            answer = _silence(config) if silent else _answer(config, answers, index)
            seconds = {"start": first / config.sample_rate, "end": (start + margin + hop) / config.sample_rate}
            pending = dataclasses.replace(answer, **seconds)
    if pending is not None:
        yield dataclasses.replace(pending, end=total / config.sample_rate)


def _silence(config: Config) -> Answer:
    """Return the answer to digital silence, in which nobody speaks whatever a model says."""
    sexes = 0 if config.head == "sex" else None
    return Answer(0.0, 0.0, 0, sexes, sexes, 1.0)


def _answer(config: Config, answers: dict[str, np.ndarray], index: int) -> Answer:
    count = int(answers["count"][index])
    female, male = (int(answers[name][index]) if name in answers else None for name in ("female", "male"))
    probability = float(answers["count_probabilities"][index, count - config.min_speakers])
    return Answer(0.0, 0.0, count, female, male, probability)


def merge(answers: Iterable[Answer]) -> Iterator[Answer]:
    """Join stretches that follow each other and are answered alike; the probability is their mean."""
    current, weights = None, []
    for answer in answers:
        same = current is not None and (answer.count, answer.female, answer.male) == (
            current.count,
            current.female,
            current.male,
        )
        if same:
            weights.append(answer.probability)
            current = dataclasses.replace(current, end=answer.end, probability=float(np.mean(weights)))
            continue
        if current is not None:
            yield current
        current, weights = answer, [answer.probability]
    if current is not None:
        yield current


def is_clip(config: Config, duration_seconds: float) -> bool:
    """Whether a recording gets one answer instead of a timeline."""
    return duration_seconds <= _LONGEST_CLIP * config.clip_seconds
