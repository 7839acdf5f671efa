"""A stand-in for YAMNet's SavedModel: its very signature, another network inside."""

import numpy as np
import tensorflow as tf


class YAMNet(tf.Module):
    """What github.com/tensorflow/models, research/audioset/yamnet/export.py exports, but for its weights and layers."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        phases = 2 * np.pi * np.outer(np.arange(400), np.arange(64) * 80 / 16000)
        self.bands = tf.Variable(
            (np.hanning(400)[:, np.newaxis] * np.cos(phases)).astype(np.float32), name="layer1/bands"
        )
        self.values = tf.Variable(rng.normal(0, 0.1, (64, 1024)).astype(np.float32), name="layer2/values")
        self.scale = tf.Variable(tf.ones(64), trainable=False, name="layer1/scale")

    @tf.function
    def __call__(self, waveform, as_dict=False, training=False):
        frames = tf.signal.frame(waveform, 400, 160, pad_end=True)
        log_mel = tf.math.log(tf.abs(frames @ self.bands) * self.scale + 1e-3)
        embeddings = tf.nn.relu(log_mel @ self.values)
        scores = tf.sigmoid(embeddings[:, :521])
        if as_dict:
            return {"predictions": scores, "embeddings": embeddings, "log_mel_spectrogram": log_mel}
        return [scores, embeddings, log_mel]


def write_yamnet(folder):
    module = YAMNet()
    signatures = [
        module.__call__.get_concrete_function(tf.TensorSpec([None], tf.float32), training=training)
        for training in (False, True)
    ]
    tf.saved_model.save(module, folder, signatures=signatures[0])
    return folder
