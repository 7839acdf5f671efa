"""Predictions inside the exported model: `counting.inference.decide` in TensorFlow."""

import tensorflow as tf

from counting.config import Config, count_matrix


def decide(config: Config, probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
    """Turn label probabilities into predictions.

    Args:
        config: The configuration of the model.
        probabilities: Shape `(batch, labels)`.

    Returns:
        `count` int32 `(batch,)`, `count_probabilities` `(batch, counts)`, the unchanged `probabilities`, and with the
        head `sex` also `female` and `male`, int32 `(batch,)`, whose sum is `count`.
    """
    matrix = tf.constant(count_matrix(config.counts, config.known_sexes))
    of_counts = probabilities @ matrix
    best = tf.argmax(of_counts, axis=-1, output_type=tf.int32)
    predictions = {
        "count": best + config.min_speakers,
        "count_probabilities": of_counts,
        "probabilities": tf.identity(probabilities),
    }
    if config.known_sexes is not None:
        of_that_sum = probabilities * tf.gather(tf.transpose(matrix), best)
        pair = tf.argmax(of_that_sum, axis=-1, output_type=tf.int32)
        female, male = (tf.constant(column, tf.int32) for column in zip(*config.known_sexes, strict=True))
        predictions |= {"female": tf.gather(female, pair), "male": tf.gather(male, pair)}
    return predictions
