"""TensorBoard: curves, training clips, confusion matrices, the worst mistakes, plots and hyper-parameters.

TensorBoard runs are the splits `train`, `validation` and `test`. Steps are epochs, counted from 1. Each page of TensorBoard
sorts the groups of tags by name and opens the first two. The groups are `clips/` (audio and spectrograms), `curves/`,
`evaluation/` (confusion matrices, ROC, metrics) and `training/` (learning rate, speed, audio of training clips).

TensorBoard keeps the first description of a tag, so text that changes between epochs is in images and tables. Tags are
unique in a run, also across kinds of data.
"""

import re
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams_api

from common import config as configs
from common.features import spectral
from common.reporting import lettering, metrics, plots

_N_FFT, _HOP_LENGTH = 512, 128
_RANGE_DB = 80
# Lower limit of the reference power, so that silent clips are not amplified.
_QUIETEST_POWER = 1e-2
_NUM_COLUMNS = 2
# Number of training clips, and of the worst validation clips.
_NUM_CLIPS = 6
# Panels are written about this many times per training.
_NUM_UPDATES = 5
# Logs that are not metrics of the model.
_CONDITIONS = ("examples_per_second", "learning_rate")
# Suffix of the event file with the worst clips of the last update.
_WORST = ".worst"


def writer(log_dir: str | Path, split: str) -> tf.summary.SummaryWriter:
    """Open an event file of a split. TensorBoard reads the files in the order of creation, so call `resume` first."""
    return tf.summary.create_file_writer(str(Path(log_dir) / split))


def resume(log_dir: str | Path, epoch: int) -> None:
    """Make TensorBoard discard what an interrupted training wrote for epochs that are repeated.

    Args:
        log_dir: The TensorBoard folder of the run.
        epoch: Number of complete epochs.
    """
    for split in ("train", "validation"):
        _forget(Path(log_dir) / split, epoch + 1)


def _forget(folder: Path, step: int) -> None:
    """Make TensorBoard discard what the event files of a folder hold for a step and later steps."""
    if not folder.exists():
        return
    # Files are read in the order of their names, which contain whole seconds, so this one needs a second of its own.
    last = max((int(path.name.split(".")[3]) for path in folder.glob("events.out.tfevents.*")), default=0)
    time.sleep(np.clip(last + 1 - time.time(), 0, 1))
    now = time.time()
    restart = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
    # TensorBoard ignores the first such event of a run, which is its start; each later one is a restart.
    events = [{"file_version": "brain.Event:2"}, *2 * [{"step": step, "session_log": restart}]]
    # A writer created now has a longer name with the same beginning.
    with tf.io.TFRecordWriter(str(folder / f"events.out.tfevents.{int(now):010d}.0")) as file:
        for event in events:
            file.write(tf.compat.v1.Event(wall_time=now, **event).SerializeToString())


class Curves(keras.callbacks.Callback):
    """Write the metrics of every epoch as scalars: training in the run `train`, validation in the run `validation`."""

    def __init__(self, log_dir: str | Path, watched: Collection[str] = ()):
        """Create the callback.

        Args:
            log_dir: The TensorBoard folder of the run.
            watched: Logs of callbacks that are measured on the validation split; they are in the group of the test metrics.
        """
        super().__init__()
        self.log_dir = log_dir
        self.watched = watched

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Open the event files."""
        self.writers = {split: writer(self.log_dir, split) for split in ("train", "validation")}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the finite metrics of an epoch; TensorBoard would mark NaN in the curve."""
        for log, value in (logs or {}).items():
            if not np.isfinite(value):
                continue
            name = log.removeprefix("val_")
            group = "training" if name in _CONDITIONS else "evaluation" if name in self.watched else "curves"
            split = "validation" if name != log or name in self.watched else "train"
            with self.writers[split].as_default(step=epoch + 1):
                tf.summary.scalar(f"{group}/{name}", value)
        for opened in self.writers.values():
            opened.flush()


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
    spectrograms, with names, true and predicted labels. They reveal mislabelled recordings as well as weaknesses of the
    model. Each update has an image and a table; audio is kept of the last update only.
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
        self.log_dir = Path(log_dir)
        self.train = train
        self.validation = validation
        self.labels = labels
        self.sample_rate = sample_rate
        self.names = names

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Open the event file."""
        self.writer = writer(self.log_dir, "validation")

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Write clips of the first training batch."""
        if epoch:
            return
        waveforms, targets = (tensor[:_NUM_CLIPS].numpy() for tensor in next(iter(self.train)))
        labels = [self.labels[target.argmax()] for target in targets]
        titles = [f'"{label}" ({target.max():.2f})' for label, target in zip(labels, targets, strict=True)]
        with writer(self.log_dir, "train").as_default(step=1):
            self._hear("training/clip", waveforms, labels, [f"{title}, augmented" for title in titles])
            self._see("training", waveforms, titles, "augmented training clips")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the panels of this epoch."""
        if not is_shown(epoch, self.params["epochs"]):
            return
        probabilities = self.model.predict(self.validation, verbose=0)
        targets = np.concatenate([np.argmax(target, axis=1) for _, target in self.validation])
        answers = probabilities.argmax(axis=1)
        counts = metrics.confusion(targets, answers, self.labels)
        when = f"validation, epoch {epoch + 1}"
        with self.writer.as_default(step=epoch + 1):
            tf.summary.image("evaluation/confusion", plots.to_image(plots.confusion(counts, when)))
            self._show_worst(targets, answers, probabilities, when)
        self.writer.flush()

    def _show_worst(self, targets: np.ndarray, answers: np.ndarray, probabilities: np.ndarray, when: str) -> None:
        true_probability = probabilities[np.arange(len(targets)), targets]
        worst = np.argsort(true_probability, kind="stable")[:_NUM_CLIPS]
        truths, mistakes = ([self.labels[index] for index in which[worst]] for which in (targets, answers))
        names = [self.names[index] for index in worst] if len(self.names) else [""] * len(worst)
        titles, cards, rows = [], [], []
        for index, name, truth, answer in zip(worst, names, truths, mistakes, strict=True):
            sure, surest = true_probability[index], probabilities[index].max()
            titles.append(f'true "{truth}" ({sure:.2f}), predicted "{answer}" ({surest:.2f})')
            cards.append(", ".join(filter(None, [f"{truth} taken for {answer}" if answer != truth else truth, name])))
            rows.append((name, f"{truth} ({sure:.2f})", f"{answer} ({surest:.2f})"))
        clips = np.stack(self._waveforms(worst))
        self._see("worst", clips, titles, when, names if any(names) else ())
        tf.summary.text("clips/worst_table", _table(("clip", "true", "predicted"), rows))
        # The tags contain the names of the clips, so clips of earlier updates would remain.
        earlier = list((self.log_dir / "validation").glob(f"*{_WORST}"))
        latest = tf.summary.create_file_writer(str(self.log_dir / "validation"), filename_suffix=_WORST)
        with latest.as_default(step=tf.summary.experimental.get_step()):
            self._hear("clips/worst", clips, cards, [f"{when}: {title}" for title in titles])
        latest.close()
        for path in earlier:
            path.unlink(missing_ok=True)

    def _hear(self, kind: str, waveforms: np.ndarray, cards: Sequence[str], descriptions: Sequence[str]) -> None:
        """Write clips `(clips, samples)` as audio, with the content in the title of each card."""
        for rank, (waveform, card, description) in enumerate(zip(waveforms, cards, descriptions, strict=True), 1):
            hear(f"{kind} {rank}: {card}", waveform[:, None], self.sample_rate, description)

    def _see(
        self, kind: str, waveforms: np.ndarray, titles: Sequence[str], title: str, names: Sequence[str] = ()
    ) -> None:
        """Write the spectrograms of clips `(clips, samples)` as one image."""
        power = np.abs(spectral.stft(waveforms, _N_FFT, _HOP_LENGTH)) ** 2
        loudest = np.maximum(power.max(axis=(1, 2), keepdims=True), _QUIETEST_POWER)
        decibels = spectral.power_to_db(power / loudest, top_db=None).numpy()
        figure = plots.pictures(
            decibels, titles, _HOP_LENGTH / self.sample_rate, _NUM_COLUMNS, self.sample_rate / 2, _RANGE_DB, names
        )
        figure.suptitle(title)
        tf.summary.image(f"clips/{kind}", plots.to_image(figure))

    def _waveforms(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return the clips at some positions, with only one batch in memory at a time."""
        found, position = {}, 0
        for waveforms, _ in self.validation:
            for index in indices[(indices >= position) & (indices < position + len(waveforms))]:
                found[index] = waveforms[index - position].numpy()
            position += len(waveforms)
        return [found[index] for index in indices]


def hear(tag: str, waveform: np.ndarray, sample_rate: int, description: str = "") -> None:
    """Write audio to the default writer.

    Args:
        tag: Title of the card.
        waveform: Shape `(samples, channels)`; scaled down if it exceeds [-1, 1], where players would clip.
        sample_rate: Sample rate in Hz.
        description: Text for all steps of the card.
    """
    audible = waveform / max(1.0, np.abs(waveform).max())
    name = lettering.printable(tag)
    tf.summary.audio(name, audible[None], sample_rate, max_outputs=1, description=_markdown(description))


def write_evaluation(log_dir: str | Path, figures: dict[str, float], plot_files: Iterable[Path], epoch: int) -> None:
    """Write the results on the test split; results of an earlier call are discarded.

    Args:
        log_dir: The TensorBoard folder of the run.
        figures: Names and values of the final metrics, for comparing runs on the HPARAMS page.
        plot_files: PNG files; `test_roc.png` becomes `evaluation/roc`.
        epoch: Number of epochs of the training.
    """
    _forget(Path(log_dir) / "test", 0)
    with writer(log_dir, "test").as_default(step=epoch):
        for path in plot_files:
            tf.summary.image(f"evaluation/{path.stem.removeprefix('test_')}", pixels(path))
        for name, value in figures.items():
            tf.summary.scalar(f"evaluation/{name}", value)


def pixels(path: Path) -> tf.Tensor:
    """Read a PNG file as input of `tf.summary.image`."""
    return tf.io.decode_png(path.read_bytes(), channels=3)[tf.newaxis]


def write_hyper_parameters(log_dir: str | Path, variant: str, base: dict[str, Any], config: dict[str, Any]) -> None:
    """Write the configuration of a run for the HPARAMS page, which shows it with the metrics of `write_evaluation`.

    Only the variant, the network, and the fields that differ from the variant are written.

    Args:
        log_dir: The TensorBoard folder of the run.
        variant: Name of the variant.
        base: Field names and values of the variant.
        config: Field names and values of the run; lists are shown as text, paths by their last part.
    """
    # The page sorts columns by name, capitals first.
    shown = {"Variant": variant} | ({"Model": config["model"]} if "model" in config else {})
    for name, value in config.items():
        if name != "model" and value != base[name]:
            shown[name] = Path(value).name if configs.is_path(name) else value
    shown = {
        name: value if isinstance(value, bool | int | float) else lettering.printable(_text(value))
        for name, value in shown.items()
    }
    # In the run of the metrics, since the HPARAMS page does not find metrics in the root of the folder.
    with writer(log_dir, "test").as_default(step=0):
        hparams_api.hparams(shown, trial_id=lettering.printable(trial(Path(log_dir).resolve().parent)))


def trial(folder: Path) -> str:
    """Return a short name of a run directory: the part below `runs`, else the last two parts.

    Example:
        >>> trial(Path("/home/ann/runs/kws/default")), trial(Path("/tmp/mine"))
        ('kws/default', 'tmp/mine')
    """
    parts = folder.parts
    first = len(parts) - parts[::-1].index("runs") if "runs" in parts[:-1] else -2
    return "/".join(parts[first:])


def _text(value: str | Iterable[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a Markdown table."""
    lines = [header, ["---"] * len(header), *([_markdown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown(text: str) -> str:
    """Escape a text, since TensorBoard renders descriptions as Markdown."""
    return re.sub(r"[\\`*_{}\[\]<>#&!|~]", lambda found: f"&#{ord(found[0])};", lettering.printable(text))
