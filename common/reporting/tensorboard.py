"""What TensorBoard shows beside scalars: what training hears, confusion, the worst mistakes, plots, hyper-parameters."""

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
# Of the loudest bin: what never reaches it is shown as the silence that it is.
_QUIETEST_POWER = 1e-2
_NUM_COLUMNS = 3
# How many clips are shown, of training and of the worst.
_NUM_CLIPS = 6
# At least so many times panels are shown in a training that is long enough.
_NUM_LOOKS = 5


class Scalars(keras.callbacks.TensorBoard):
    """Keras' own, without what an epoch did not measure: TensorBoard would mark each such epoch in the curve."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the figures of an epoch that are numbers."""
        super().on_epoch_end(epoch, {name: value for name, value in (logs or {}).items() if np.isfinite(value)})


def is_shown(epoch: int, num_epochs: int) -> bool:
    """Say whether panels show an epoch, which counts from 0: each fifth of a training, and the last.

    Example:
        >>> [epoch for epoch in range(12) if is_shown(epoch, 12)]
        [1, 3, 5, 7, 9, 11]
    """
    return (epoch + 1) % max(1, num_epochs // _NUM_LOOKS) == 0 or epoch + 1 == num_epochs


class ClassificationPanels(keras.callbacks.Callback):
    """Show what a classifier hears in training, its confusion matrix and its worst mistakes on the validation split.

    Of the first training batch some clips stand as audio and as spectrograms, as augmentation of the waveform left them:
    that is where one hears noise too loud or words cut off.

    The worst mistakes are the clips whose true label got the least probability: they stand as audio to play, with their
    spectrograms, true and predicted labels. They show mislabelled recordings as well as a model's weakness.
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
            log_dir: The run's TensorBoard folder.
            train: Batches of (waveform, one-hot or soft label), augmented.
            validation: Batches of (waveform, one-hot label).
            labels: Names of the classes.
            sample_rate: In hertz.
            names: What to call each clip of `validation`, if more is known than its label.
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
        """Write the clips that training begins with."""
        waveforms, targets = (tensor[:_NUM_CLIPS].numpy() for tensor in next(iter(self.train)))
        titles = [f'"{self.labels[target.argmax()]}" ({target.max():.2f})' for target in targets]
        with self.train_writer.as_default(step=0):
            self._show_clips("training", waveforms, titles, "as training hears them")
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
                truth, answer = self.labels[targets[index]], self.labels[probabilities[index].argmax()]
                titles.append(
                    f'true "{truth}" ({true_probability[index]:.2f}), predicted "{answer}" ({probabilities[index].max():.2f})'
                )
            names = [self.names[index] for index in worst] if len(self.names) else ()
            clips = np.stack(self._waveforms(worst))
            self._show_clips("worst", clips, titles, f"validation, epoch {epoch + 1}", names)
        self.writer.flush()

    def _show_clips(
        self, kind: str, waveforms: np.ndarray, titles: Sequence[str], title: str, names: Sequence[str] = ()
    ) -> None:
        """Write clips `(clips, samples)` to hear, and all of them in one picture."""
        for rank, (waveform, *lines) in enumerate(zip(waveforms, titles, *([names] if names else []), strict=True), 1):
            # Augmentation may leave [-1, 1], where players would clip.
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
        """Pick clips by their position, keeping one batch in memory at a time."""
        found, position = {}, 0
        for waveforms, _ in self.validation:
            for index in indices[(indices >= position) & (indices < position + len(waveforms))]:
                found[index] = waveforms[index - position].numpy()
            position += len(waveforms)
        return [found[index] for index in indices]


def write_plots(log_dir: str | Path, paths: Iterable[Path]) -> None:
    """Show PNG files; `test_roc.png` becomes `roc` in the group `test`.

    Args:
        log_dir: The run's TensorBoard folder.
        paths: The files.
    """
    with tf.summary.create_file_writer(str(Path(log_dir) / "test")).as_default(step=0):
        for path in paths:
            tf.summary.image(path.stem.replace("_", "/", 1), pixels(path))


def pixels(path: Path) -> tf.Tensor:
    """Read a PNG as `tf.summary.image` takes it: what was saved need not be drawn again."""
    return tf.io.decode_png(path.read_bytes(), channels=3)[tf.newaxis]


def write_hyper_parameters(log_dir: str | Path, config: dict[str, Any], figures: dict[str, float]) -> None:
    """Write a run's configuration with its final figures, for the HPARAMS page that compares runs.

    Args:
        log_dir: The run's TensorBoard folder.
        config: Field names and values; lists are shown as text.
        figures: Names and values of the final metrics.
    """
    shown = {
        name: value if isinstance(value, bool | int | float) else lettering.printable(_text(value))
        for name, value in config.items()
    }
    # A run of its own: in the folder's root the HPARAMS page does not find the figures.
    with tf.summary.create_file_writer(str(Path(log_dir) / "test")).as_default(step=0):
        hparams_api.hparams(shown, trial_id=lettering.printable(str(Path(log_dir).resolve().parent)))
        for name, value in figures.items():
            tf.summary.scalar(name, value)


def _text(value: str | Iterable[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _markdown(text: str) -> str:
    """Write a text so that TensorBoard, which takes descriptions for Markdown, shows it as it is."""
    return re.sub(r"[\\`*_{}\[\]<>#&!|~]", lambda found: f"&#{ord(found[0])};", lettering.printable(text))
