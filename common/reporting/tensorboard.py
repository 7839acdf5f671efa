"""TensorBoard: training clips, confusion matrices, the worst mistakes, plots and hyper-parameters."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams_api

from common.features import spectral
from common.reporting import lettering, metrics, plots

_N_FFT, _HOP_LENGTH = 512, 128
_RANGE_DB = 80
# Lower limit of the reference power, so that silent clips are not amplified.
_QUIETEST_POWER = 1e-2
_NUM_COLUMNS = 3
# Number of training clips, and of the worst validation clips.
_NUM_CLIPS = 6
# Panels are written about this many times per training.
_NUM_UPDATES = 5


class Scalars(keras.callbacks.TensorBoard):
    """The Keras callback without NaN values, which TensorBoard would mark in the curve."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the finite metrics of an epoch."""
        super().on_epoch_end(epoch, {name: value for name, value in (logs or {}).items() if np.isfinite(value)})


def is_shown(epoch: int, num_epochs: int) -> bool:
    """Whether to write panels after an epoch, counted from 0: every fifth of a training, and the last one.

    Example:
        >>> [epoch for epoch in range(12) if is_shown(epoch, 12)]
        [1, 3, 5, 7, 9, 11]
    """
    return (epoch + 1) % max(1, num_epochs // _NUM_UPDATES) == 0 or epoch + 1 == num_epochs


class ClassificationPanels(keras.callbacks.Callback):
    """Show training clips, and the confusion matrix and the worst mistakes on the validation split.

    Some clips of the first training batch are shown as audio and as spectrograms, after augmentation of the waveform.
    They reveal problems such as noise that is too loud or words that are cut off.

    The worst mistakes are the clips with the lowest probability of the true label. They are shown as audio and as
    spectrograms, with true and predicted labels. They reveal mislabelled recordings as well as weaknesses of the model.
    """

    def __init__(
        self,
        log_dir: str | Path,
        train: tf.data.Dataset,
        validation: tf.data.Dataset,
        labels: tuple[str, ...],
        sample_rate: int,
        *,
        names: Sequence[str] = (),
    ):
        """Create the callback.

        Args:
            log_dir: The TensorBoard folder of the run.
            train: Batches of (waveform, one-hot or soft label), augmented.
            validation: Batches of (waveform, one-hot label).
            labels: Names of the classes.
            sample_rate: Sample rate in Hz.
            names: Optional names of the clips of `validation`.
        """
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(Path(log_dir) / "validation"))
        self.train_writer = tf.summary.create_file_writer(str(Path(log_dir) / "train"))
        self.train = train
        self.validation = validation
        self.labels = labels
        self.sample_rate = sample_rate
        self.names = names

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Write clips of the first training batch."""
        waveforms, targets = (tensor[:_NUM_CLIPS].numpy() for tensor in next(iter(self.train)))
        titles = [f'"{self.labels[target.argmax()]}" ({target.max():.2f})' for target in targets]
        with self.train_writer.as_default(step=0):
            self._show_clips("training", waveforms, titles, "augmented training clips")
        self.train_writer.flush()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the panels of this epoch."""
        if not is_shown(epoch, self.params["epochs"]):
            return
        probabilities = self.model.predict(self.validation, verbose=0)
        targets = np.concatenate([np.argmax(target, axis=1) for _, target in self.validation])
        counts = metrics.confusion(targets, probabilities.argmax(axis=1), self.labels)
        true_probability = probabilities[np.arange(len(targets)), targets]
        worst = np.argsort(true_probability, kind="stable")[:_NUM_CLIPS]
        with self.writer.as_default(step=epoch):
            tf.summary.image("confusion", plots.to_image(plots.confusion(counts, f"validation, epoch {epoch + 1}")))
            titles = []
            for index in worst:
                truth, predicted = self.labels[targets[index]], self.labels[probabilities[index].argmax()]
                titles.append(
                    f'true "{truth}" ({true_probability[index]:.2f}), predicted "{predicted}" ({probabilities[index].max():.2f})'
                )
            names = [self.names[index] for index in worst] if len(self.names) else ()
            clips = np.stack(self._waveforms(worst))
            self._show_clips("worst", clips, titles, f"validation, epoch {epoch + 1}", names)
        self.writer.flush()

    def _show_clips(
        self, kind: str, waveforms: np.ndarray, titles: Sequence[str], title: str, names: Sequence[str] = ()
    ) -> None:
        """Write clips `(clips, samples)` as audio, and their spectrograms as one image."""
        for rank, (waveform, *lines) in enumerate(zip(waveforms, titles, *([names] if names else []), strict=True), 1):
            # Augmented clips may exceed [-1, 1], where players would clip.
            audible = waveform / max(1.0, np.abs(waveform).max())
            tf.summary.audio(
                f"{kind}_clips/{rank}",
                audible[None, :, None],
                self.sample_rate,
                max_outputs=1,
                description="  \n".join(map(_markdown, lines)),
            )
        power = np.abs(spectral.stft(waveforms, _N_FFT, _HOP_LENGTH)) ** 2
        loudest = np.maximum(power.max(axis=(1, 2), keepdims=True), _QUIETEST_POWER)
        decibels = spectral.power_to_db(power / loudest, top_db=None).numpy()
        figure = plots.pictures(
            decibels, titles, _HOP_LENGTH / self.sample_rate, _NUM_COLUMNS, self.sample_rate / 2, _RANGE_DB, names
        )
        figure.suptitle(title)
        tf.summary.image(f"{kind}_spectrograms", plots.to_image(figure))

    def _waveforms(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return the clips at some positions, with only one batch in memory at a time."""
        found, position = {}, 0
        for waveforms, _ in self.validation:
            for index in indices[(indices >= position) & (indices < position + len(waveforms))]:
                found[index] = waveforms[index - position].numpy()
            position += len(waveforms)
        return [found[index] for index in indices]


def write_plots(log_dir: str | Path, paths: Iterable[Path]) -> None:
    """Show PNG files; `test_roc.png` becomes `roc` in the group `test`.

    Args:
        log_dir: The TensorBoard folder of the run.
        paths: The files.
    """
    with tf.summary.create_file_writer(str(Path(log_dir) / "test")).as_default(step=0):
        for path in paths:
            tf.summary.image(path.stem.replace("_", "/", 1), pixels(path))


def pixels(path: Path) -> tf.Tensor:
    """Read a PNG file as input of `tf.summary.image`."""
    return tf.io.decode_png(path.read_bytes(), channels=3)[tf.newaxis]


def write_hyper_parameters(log_dir: str | Path, config: dict[str, Any], figures: dict[str, float]) -> None:
    """Write the configuration and the final metrics of a run, for comparing runs on the HPARAMS page.

    Args:
        log_dir: The TensorBoard folder of the run.
        config: Field names and values; lists are shown as text.
        figures: Names and values of the final metrics.
    """
    shown = {
        name: value if isinstance(value, bool | int | float) else lettering.printable(_text(value))
        for name, value in config.items()
    }
    # A separate TensorBoard run, since the HPARAMS page does not find metrics in the root of the folder.
    with tf.summary.create_file_writer(str(Path(log_dir) / "test")).as_default(step=0):
        hparams_api.hparams(shown, trial_id=lettering.printable(str(Path(log_dir).resolve().parent)))
        for name, value in figures.items():
            tf.summary.scalar(name, value)


def _text(value: str | Iterable[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _markdown(text: str) -> str:
    """Escape a text, since TensorBoard renders descriptions as Markdown."""
    return re.sub(r"[\\`*_{}\[\]<>#&!|~]", lambda found: f"&#{ord(found[0])};", lettering.printable(text))
