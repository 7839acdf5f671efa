"""Watching a generator as it trains: samples to see and hear, distances, and what is done when it goes wrong.

A look is taken after the first epoch, every few epochs, and after the last, always at the same noise. Each leaves
`samples/epoch_0010.png`, some `.wav` files and `snapshots/epoch_0010.npz` in the run directory, and its figures in
the history: the Fréchet distance to validation tracks, precision, recall, density, coverage, the spread of samples over
that of recordings, and how near samples are to training excerpts.
"""

import logging

import keras
import numpy as np
import tensorflow as tf

from common import audio, runs
from common.reporting import plots, tensorboard
from common.seeds import stream_seed
from generation import noise, snapshots
from generation import reference_metrics as reference_embeddings
from generation.models import Gan

_NUM_SHOWN, _NUM_HEARD, _NUM_COMPARED = 8, 3, 64
_FIGURES = (
    *("frechet_distance", "precision", "recall", "density", "coverage", "spread_ratio"),
    *("nearest_ratio", "replays"),
)
_SEED = (stream_seed(0, "generation.watched"), 1)
_BATCH = 16
# Samples collapse when they vary less than this against recordings, once they varied by half or a quarter of training is over.
_COLLAPSED_SPREAD, _HEALTHY_SPREAD = 0.25, 0.5
_PATIENT_SHARE = 0.25
# Or when they are so many times as far from the recordings as they were at best; or, after the same share of training,
# no nearer than at the first look, or not half as near where the discriminator gives both the same logits.
_LOST_FACTOR = 2.5
_TOLD_APART, _STILL_FAR = 0.05, 0.5
_REPLAYED_SHARE = 0.2
_SLOWER = 0.5
_MOST_RESTORES = 4


class Watch(keras.callbacks.Callback):
    """Look at samples every few epochs, and answer collapse and memorisation as the configuration says."""

    def __init__(self, run: runs.Run, references: reference_embeddings.References):
        """Create the callback.

        Args:
            run: The run directory.
            references: Of training and validation tracks.
        """
        super().__init__()
        self.run = run
        self.config = run.config
        self.references = references
        self.writer = tf.summary.create_file_writer(str(run.folder / "tensorboard" / "validation"))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Take a look if it is time; every epoch has the same columns in the history."""
        logs |= dict.fromkeys(_FIGURES, float("nan"))
        number = epoch + 1
        lost = not np.isfinite(logs["loss"])
        if lost or number == 1 or number % self.config.monitor_epochs == 0 or number == self.config.epochs:
            spectrograms = sample(self.model, self.config.monitor_samples)
            if np.all(np.isfinite(spectrograms)):
                logs |= self._figures(spectrograms)
                self._show(number, spectrograms)
                snapshots.save(self.model.average, self.run.folder, number)
                fault = self._fault(number, logs)
            else:
                fault = "its samples are no numbers any more"
            if fault:
                # What is wrong is not what to keep.
                logs["frechet_distance"] = float("nan") if lost else logs["frechet_distance"]
                self._answer(number, fault)

    def _figures(self, spectrograms: np.ndarray) -> dict[str, float]:
        decibels = self.model.spectra.unscaled(spectrograms).numpy()
        embeddings = self.references.embedding(decibels)
        return reference_embeddings.figures(self.references, embeddings) | reference_embeddings.replay_figures(
            self.references, decibels[:_NUM_COMPARED]
        )

    def _fault(self, number: int, logs: dict) -> str:
        """Say what is wrong with the samples; nothing if all is well."""
        past = [row for row in self.run.history if np.isfinite(row.get("frechet_distance", float("nan")))]
        best = min((row["frechet_distance"] for row in past), default=float("inf"))
        was_healthy = any(row["spread_ratio"] > _HEALTHY_SPREAD for row in past)
        had_time = number > _PATIENT_SHARE * self.config.epochs and number > self.config.monitor_epochs
        if logs["spread_ratio"] < _COLLAPSED_SPREAD and (was_healthy or had_time):
            return f"its samples vary {logs['spread_ratio']:.2f} times as much as recordings do: it has collapsed"
        if logs["replays"] > _REPLAYED_SHARE:
            return f"{logs['replays']:.0%} of its samples are training excerpts played again"
        if logs["frechet_distance"] > _LOST_FACTOR * best:
            return f"its samples are {logs['frechet_distance'] / best:.1f} times as far from recordings as at best"
        if not had_time or not past:
            return ""
        share_left = logs["frechet_distance"] / past[0]["frechet_distance"]
        if share_left >= 1:
            return "its samples are no nearer to recordings than at the first look: it does not learn"
        # Of samples that are as good as recordings it can tell nothing either.
        if logs["real_logit"] - logs["fake_logit"] < _TOLD_APART and share_left > _STILL_FAR:
            return "its discriminator does not tell samples from recordings, and they are still far from them"
        return ""

    def _show(self, number: int, spectrograms: np.ndarray) -> None:
        config, spectra = self.config, self.model.spectra
        hop_seconds = config.hop_length / config.sample_rate
        shown = spectra.unscaled(spectrograms[:_NUM_SHOWN]).numpy()
        folder = self.run.folder / "samples"
        figure = plots.pictures(shown, [f"sample {index + 1}" for index in range(len(shown))], hop_seconds)
        figure.suptitle(f"epoch {number}")
        picture = folder / f"epoch_{number:04d}.png"
        plots.save(figure, picture)
        waveforms = spectra.waveforms(tf.constant(spectrograms[:_NUM_HEARD])).numpy()
        with self.writer.as_default(step=number - 1):
            tf.summary.image("samples/pictures", tensorboard.pixels(picture))
            for index, waveform in enumerate(waveforms, 1):
                audio.write(folder / f"epoch_{number:04d}_{index}.wav", audio.at_peak(waveform), config.sample_rate)
                tf.summary.audio(f"samples/{index}", audio.at_peak(waveform)[None, :, None], config.sample_rate)
        self.writer.flush()

    def _answer(self, number: int, fault: str) -> None:
        """Restore, stop or go on, and say so."""
        answer = self.config.on_collapse
        restores = int(self.model.restores.numpy())
        if answer == "restore" and restores >= _MOST_RESTORES:
            logging.warning("epoch %d: %s; %d restores did not help, so training stops", number, fault, restores)
            answer = "stop"
        if answer == "stop":
            logging.warning("epoch %d: %s; training stops, the best epoch is kept (--on_collapse=stop)", number, fault)
            self.model.stop_training = True
        elif answer == "ignore":
            logging.warning("epoch %d: %s (--on_collapse=ignore)", number, fault)
        elif self.run.model_path.exists():
            self._restore(number, fault, restores)

    def _restore(self, number: int, fault: str, restores: int) -> None:
        """Go back to the best weights, the generator to their average, and learn at half the rate from there."""
        model = self.model
        runs.load_weights(model, self.run.folder)
        model.generator.set_weights(model.average.get_weights())
        for optimizer in model.optimizers():
            # The moments belong to the weights that were left.
            for variable in optimizer.variables:
                if len(variable.shape):
                    variable.assign(tf.zeros_like(variable))
            optimizer.learning_rate = float(optimizer.learning_rate.numpy()) * _SLOWER
        model.restores.assign(restores + 1)
        logging.warning(
            "epoch %d: %s; back to the best averaged weights, at half the learning rate (--on_collapse=restore)",
            number,
            fault,
        )


def sample(model: Gan, num_samples: int, seed: tuple[int, int] = _SEED) -> np.ndarray:
    """Make scaled spectrograms `(num_samples, frames, bands)`, always the same ones for the same weights and seed.

    On one device, not by `predict`, which would wait for all workers: only the chief has all that is to be looked at.
    """
    steps = noise.draw(model.config, num_samples, seed)
    pictures = [model.generate(steps[start : start + _BATCH]).numpy() for start in range(0, num_samples, _BATCH)]
    return np.concatenate(pictures)[:, : model.config.frames]
