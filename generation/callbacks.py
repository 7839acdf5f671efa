"""Monitor a generator during training: samples, metrics, and the response to collapse and memorisation.

Monitoring runs after the first epoch, every few epochs, and after the last, always with the same noise. It writes
`samples/epoch_0010.png`, some `.wav` files and `snapshots/epoch_0010.npz` to the run directory, and adds metrics to the
history: the Fréchet distance to validation tracks, precision, recall, density, coverage, the spread of samples relative
to that of recordings, and the distance of samples to training excerpts.
"""

import keras
import numpy as np
import tensorflow as tf

from common import audio, runs
from common.log import logger
from common.reporting import plots, tensorboard
from common.seeds import stream_seed
from generation import noise, snapshots
from generation import reference_metrics as reference_embeddings
from generation.models import Gan

_NUM_IMAGES, _NUM_AUDIO, _NUM_COMPARED = 8, 3, 64
# Metrics that the callback adds to the logs.
METRICS = (
    *("frechet_distance", "precision", "recall", "density", "coverage", "spread_ratio"),
    *("nearest_ratio", "replays"),
)
_SEED = (stream_seed(0, "generation.watched"), 1)
_BATCH = 16
# Collapse: the spread ratio is below 0.25, and it was above 0.5 before or a quarter of the training is over.
_COLLAPSED_SPREAD, _HEALTHY_SPREAD = 0.25, 0.5
_GRACE_FRACTION = 0.25
# Divergence: the Fréchet distance is 2.5 times its best value.
_LOST_FACTOR = 2.5
# No progress, after the same quarter: the distance is not below its first value; or it is above half of that, and the
# logits of real and generated spectrograms differ by less than 0.05.
_LOGIT_MARGIN, _STILL_FAR = 0.05, 0.5
# Memorisation: more than this fraction of samples are copies.
_REPLAYED_FRACTION = 0.2
_LEARNING_RATE_FACTOR = 0.5
_MAX_RESTORES = 4


class Watch(keras.callbacks.Callback):
    """Monitor samples every few epochs, and respond to collapse and memorisation as set by `on_collapse`."""

    def __init__(self, run: runs.Run, references: reference_embeddings.References):
        """Create the callback.

        Args:
            run: The run.
            references: Embeddings of training and validation tracks.
        """
        super().__init__()
        self.run = run
        self.config = run.config
        self.references = references

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Open the event file."""
        self.writer = tensorboard.writer(self.run.folder / "tensorboard", "validation")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Monitor the epoch if it is due; other epochs get NaN, so that the history always has the same columns."""
        logs |= dict.fromkeys(METRICS, float("nan"))
        number = epoch + 1
        lost = not np.isfinite(logs["loss"])
        if lost or number == 1 or number % self.config.monitor_epochs == 0 or number == self.config.epochs:
            spectrograms = sample(self.model, self.config.monitor_samples)
            if np.all(np.isfinite(spectrograms)):
                logs |= self._metrics(spectrograms)
                self._write_samples(number, spectrograms)
                snapshots.save(self.model.average, self.run.folder, number)
                fault = self._fault(number, logs)
            else:
                fault = "samples contain NaN or infinite values"
            if lost:
                # An epoch whose loss is not finite must not be saved as the best one.
                logs["frechet_distance"] = float("nan")
            if fault:
                self._answer(number, fault)

    def _metrics(self, spectrograms: np.ndarray) -> dict[str, float]:
        decibels = self.model.spectra.unscaled(spectrograms).numpy()
        embeddings = self.references.embedding(decibels)
        return reference_embeddings.figures(self.references, embeddings) | reference_embeddings.replay_figures(
            self.references, decibels[:_NUM_COMPARED]
        )

    def _fault(self, number: int, logs: dict) -> str:
        """Return the fault of the samples, or an empty string."""
        past = [row for row in self.run.history if np.isfinite(row.get("frechet_distance", float("nan")))]
        best = min((row["frechet_distance"] for row in past), default=float("inf"))
        was_healthy = any(row["spread_ratio"] > _HEALTHY_SPREAD for row in past)
        grace_is_over = number > _GRACE_FRACTION * self.config.epochs and number > self.config.monitor_epochs
        if logs["spread_ratio"] < _COLLAPSED_SPREAD and (was_healthy or grace_is_over):
            return f"samples collapsed, spread is {logs['spread_ratio']:.2f} times that of recordings"
        if logs["replays"] > _REPLAYED_FRACTION:
            return f"{logs['replays']:.0%} of samples are copies of training excerpts"
        if logs["frechet_distance"] > _LOST_FACTOR * best:
            return f"samples diverged, Fréchet distance is {logs['frechet_distance'] / best:.1f} times the best one"
        if not grace_is_over or not past:
            return ""
        relative_distance = logs["frechet_distance"] / past[0]["frechet_distance"]
        if relative_distance >= 1:
            return "samples do not improve, Fréchet distance is not below its first value"
        # With samples as good as recordings the logits are equal too, and nothing is wrong.
        if logs["real_logit"] - logs["fake_logit"] < _LOGIT_MARGIN and relative_distance > _STILL_FAR:
            return "discriminator does not separate samples from recordings, and the Fréchet distance is still high"
        return ""

    def _write_samples(self, number: int, spectrograms: np.ndarray) -> None:
        config, spectra = self.config, self.model.spectra
        hop_seconds = config.hop_length / config.sample_rate
        shown = spectra.unscaled(spectrograms[:_NUM_IMAGES]).numpy()
        folder = self.run.folder / "samples"
        figure = plots.pictures(shown, [f"sample {index + 1}" for index in range(len(shown))], hop_seconds)
        figure.suptitle(f"epoch {number}")
        path = folder / f"epoch_{number:04d}.png"
        plots.save(figure, path)
        waveforms = spectra.waveforms(tf.constant(spectrograms[:_NUM_AUDIO])).numpy()
        with self.writer.as_default(step=number):
            tf.summary.image("clips/samples", tensorboard.pixels(path))
            for index, waveform in enumerate(waveforms, 1):
                audio.write(folder / f"epoch_{number:04d}_{index}.wav", audio.at_peak(waveform), config.sample_rate)
                tensorboard.hear(
                    f"clips/sample {index}",
                    audio.at_peak(waveform)[:, None],
                    config.sample_rate,
                    "generated by the averaged weights of the epoch, from the same noise at every step",
                )
        self.writer.flush()

    def _answer(self, number: int, fault: str) -> None:
        """Restore, stop or continue, and log it."""
        action = self.config.on_collapse
        restores = int(self.model.restores.numpy())
        if action == "restore" and restores >= _MAX_RESTORES:
            logger.warning("epoch %d: %s; training stops, because %d restores did not help", number, fault, restores)
            action = "stop"
        if action == "stop":
            logger.warning("epoch %d: %s; training stops and keeps the best epoch (--on_collapse=stop)", number, fault)
            self.model.stop_training = True
        elif action == "ignore":
            logger.warning("epoch %d: %s (--on_collapse=ignore)", number, fault)
        elif self.run.model_path.exists():
            self._restore(number, fault, restores)

    def _restore(self, number: int, fault: str, restores: int) -> None:
        """Restore the best weights, set the generator to its averaged weights, and halve both learning rates."""
        model = self.model
        runs.load_weights(model, self.run.folder)
        model.generator.set_weights(model.average.get_weights())
        for optimizer in model.optimizers():
            # The moments belong to the discarded weights.
            for variable in optimizer.variables:
                if len(variable.shape):
                    variable.assign(tf.zeros_like(variable))
            optimizer.learning_rate = float(optimizer.learning_rate.numpy()) * _LEARNING_RATE_FACTOR
        model.restores.assign(restores + 1)
        logger.warning(
            "epoch %d: %s; restored the best averaged weights and halved the learning rate (--on_collapse=restore)",
            number,
            fault,
        )


def sample(model: Gan, num_samples: int, seed: tuple[int, int] = _SEED) -> np.ndarray:
    """Generate scaled spectrograms `(num_samples, frames, bands)`; the same weights and seed give the same result.

    Runs on one device instead of `predict`, which would wait for all workers: only the chief calls this function.
    """
    steps = noise.draw(model.config, num_samples, seed)
    batches = [model.generate(steps[start : start + _BATCH]).numpy() for start in range(0, num_samples, _BATCH)]
    return np.concatenate(batches)[:, : model.config.frames]
