"""TensorBoard panels of separation: audio and spectrograms of the mixture and of the true and estimated stems."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib.image import AxesImage

from common.features import spectral
from common.reporting import drawing, plots, tensorboard
from separation.config import Config

_N_FFT, _HOP_LENGTH = 1024, 256
_NUM_EXCERPTS = 3


class SeparationPanels(keras.callbacks.Callback):
    """Write a few validation windows to TensorBoard: audio, spectrograms and masks of the mixture and the stems."""

    def __init__(
        self,
        log_dir: str | Path,
        config: Config,
        validation: tf.data.Dataset,
        names: Sequence[str],
    ):
        """Create the callback.

        Args:
            log_dir: The TensorBoard folder of the run.
            config: The model's configuration.
            validation: Batches of (mixture, stems).
            names: Names of the windows of `validation`.
        """
        super().__init__()
        self.log_dir = log_dir
        self.config = config
        self.validation = validation
        self.names = names

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Choose the windows whose quietest stem is the loudest."""
        self.writer = tensorboard.writer(self.log_dir, "validation")
        mixtures, stems = (np.concatenate(parts) for parts in zip(*self.validation, strict=True))
        loudness = np.square(stems).mean(axis=(2, 3)).min(axis=1)
        chosen = np.argsort(-loudness, kind="stable")[:_NUM_EXCERPTS]
        self.mixtures, self.stems = mixtures[chosen], stems[chosen]
        self.chosen = [self.names[index] for index in chosen]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Write the mixtures and the true stems, before the first epoch."""
        if epoch:
            return
        with self.writer.as_default(step=1):
            for number, (mixture, true) in enumerate(zip(self.mixtures, self.stems, strict=True)):
                self._hear(number, 0, "mixture", mixture)
                for index, (name, stem) in enumerate(zip(self.config.stems, true, strict=True)):
                    self._hear(number, 2 * index + 1, f"{name}, true", stem)
        self.writer.flush()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the estimates of this epoch."""
        if not tensorboard.is_shown(epoch, self.params["epochs"]):
            return
        estimates = self.model(self.mixtures, training=False)["stems"].numpy()
        with self.writer.as_default(step=epoch + 1):
            for number, stems in enumerate(estimates):
                for index, (name, stem) in enumerate(zip(self.config.stems, stems, strict=True)):
                    self._hear(number, 2 * index + 2, f"{name}, estimated", stem)
                title = f"{self.chosen[number]}, epoch {epoch + 1}"
                figure = compare(self.config, self.mixtures[number], self.stems[number], stems, title)
                tf.summary.image(f"clips/excerpt {number + 1}", plots.to_image(figure))
        self.writer.flush()

    def _hear(self, number: int, place: int, what: str, waveform: np.ndarray) -> None:
        """Write a card; letters sort the cards of an excerpt; "1e" would be sorted as a number."""
        tag = f"clips/excerpt {number + 1} {chr(ord('a') + place)}: {what}"
        tensorboard.hear(tag, waveform, self.config.sample_rate, f"{self.chosen[number]}, validation split")


def compare(
    config: Config, mixture: np.ndarray, stems: np.ndarray, estimates: np.ndarray, title: str = ""
) -> plots.Figure:
    """Plot the true spectrogram, the estimated spectrogram and the mask of each stem.

    The mask is the estimate divided by the mixture, in [0, 1].

    Args:
        config: Names of the stems, and sample rate.
        mixture: Shape `(samples, channels)`.
        stems: True stems, shape `(stems, samples, channels)`.
        estimates: Estimated stems, same shape.
        title: Title of the plot.
    """

    def magnitude(waveform: np.ndarray) -> np.ndarray:
        # Not librosa.stft: in a new environment its first call compiles for 25 s.
        return np.abs(spectral.stft(waveform.mean(axis=1, dtype=np.float32), _N_FFT, _HOP_LENGTH))

    whole = magnitude(mixture)
    rows = []
    for name, true, estimated in zip(config.stems, stems, estimates, strict=True):
        found = magnitude(estimated)
        mask = np.clip(found / np.maximum(whole, 1e-5), 0, 1)
        rows.append((name, [magnitude(true), found, mask]))
    return separations(whole, rows, _HOP_LENGTH / config.sample_rate, config.sample_rate / 2, title)


@drawing.guarded
def separations(
    mixture: np.ndarray,
    rows: Sequence[tuple[str, Sequence[np.ndarray]]],
    hop_seconds: float,
    highest_hz: float,
    title: str = "",
) -> plots.Figure:
    """Plot one row per stem: the spectrograms of the mixture, the true stem and the estimate, and the mask.

    Args:
        mixture: Magnitudes, shape `(frames, bins)`.
        rows: For each stem its name, and three arrays: true magnitudes, estimated magnitudes, and mask in [0, 1].
        hop_seconds: Time between frames.
        highest_hz: Frequency of the last bin.
        title: Title of the figure.
    """
    height = 2.0 * len(rows) + 1.0
    figure = plots.Figure(figsize=(13, height))
    # Fixed margins, as in `plots.pictures`. Of the seven columns two are colour bars and one is a gap for their labels.
    cells = figure.add_gridspec(
        nrows=len(rows),
        ncols=7,
        width_ratios=(1, 1, 1, 0.05, 0.14, 1, 0.05),
        wspace=0.14,
        hspace=0.25,
        left=0.05,
        right=0.96,
        bottom=0.5 / height,
        top=1 - 0.6 / height,
    )
    extent = (0, len(mixture) * hop_seconds, 0, highest_hz / 1000)
    peak = 20 * np.log10(max(plots.highest(mixture), 1e-5))

    def draw(row: int, column: int, values: np.ndarray, name: str, **colours) -> AxesImage:
        panel = figure.add_subplot(cells[row, column])
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=8)
        if row == len(rows) - 1:
            panel.set_xlabel("time in s", fontsize=8)
        else:
            panel.set_xticks([])
        if column == 0:
            panel.set_ylabel("frequency in kHz", fontsize=8)
        else:
            panel.set_yticks([])
        return panel.imshow(values.T, origin="lower", aspect="auto", extent=extent, **colours)

    for row, (name, (true, estimated, mask)) in enumerate(rows):
        for column, values, caption in (
            (0, mixture, "mixture"),
            (1, true, f"{name}, true"),
            (2, estimated, f"{name}, estimated"),
        ):
            decibels = 20 * np.log10(np.maximum(values, 1e-5))
            loudness = draw(row, column, decibels, caption, cmap="magma", vmin=peak - 80, vmax=peak)
        ratio = draw(row, 5, mask, f"{name}, estimate / mixture", cmap="viridis", vmin=0, vmax=1)
    for column, image, label in ((3, loudness, "dB"), (6, ratio, "")):
        figure.colorbar(image, cax=figure.add_subplot(cells[:, column]), label=label).ax.tick_params(labelsize=8)
    figure.suptitle(title)
    return figure
