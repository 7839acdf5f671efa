"""What TensorBoard shows of a separation: the mixture, true and estimated stems to hear, and their spectrograms."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import plots, signal
from separation.config import Config

_N_FFT, _HOP_LENGTH = 1024, 256


class SeparationPanels(keras.callbacks.Callback):
    """Show some windows of the validation tracks: mixture and stems as audio, spectrograms and masks side by side."""

    def __init__(
        self,
        log_dir: str | Path,
        config: Config,
        validation: tf.data.Dataset,
        *,
        every_epochs: int = 5,
        num_excerpts: int = 3,
    ):
        """Create the callback.

        Args:
            log_dir: The run's TensorBoard folder.
            config: Of the model.
            validation: Batches of (mixture, stems).
            every_epochs: Epochs between two looks; the last epoch is always shown.
            num_excerpts: How many windows to show.
        """
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(Path(log_dir) / "validation"))
        self.config = config
        self.validation = validation
        self.every_epochs = every_epochs
        self.num_excerpts = num_excerpts

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Choose the windows in which every stem sounds the most."""
        mixtures, stems = (np.concatenate(parts) for parts in zip(*self.validation, strict=True))
        loudness = np.square(stems).mean(axis=(2, 3)).min(axis=1)
        chosen = np.argsort(-loudness, kind="stable")[: self.num_excerpts]
        self.mixtures, self.stems = mixtures[chosen], stems[chosen]
        with self.writer.as_default(step=0):
            for number, (mixture, true) in enumerate(zip(self.mixtures, self.stems, strict=True), 1):
                self._hear(f"excerpt_{number}/mixture", mixture)
                for name, stem in zip(self.config.stems, true, strict=True):
                    self._hear(f"excerpt_{number}/{name}_true", stem)
        self.writer.flush()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the panels of this epoch."""
        if (epoch + 1) % self.every_epochs and epoch + 1 != self.params["epochs"]:
            return
        estimates = self.model(self.mixtures, training=False)["stems"].numpy()
        with self.writer.as_default(step=epoch):
            for number, stems in enumerate(estimates, 1):
                for name, stem in zip(self.config.stems, stems, strict=True):
                    self._hear(f"excerpt_{number}/{name}_estimated", stem)
                figure = compare(self.config, self.mixtures[number - 1], self.stems[number - 1], stems)
                tf.summary.image(f"excerpt_{number}/spectrograms", plots.to_image(figure))
        self.writer.flush()

    def _hear(self, name: str, waveform: np.ndarray) -> None:
        audible = waveform / max(1.0, np.abs(waveform).max())
        tf.summary.audio(name, audible[None], self.config.sample_rate, max_outputs=1)


def compare(config: Config, mixture: np.ndarray, stems: np.ndarray, estimates: np.ndarray) -> plots.Figure:
    """Draw for each stem its spectrogram, the estimated one, and the mask between the mixture and the estimate.

    Args:
        config: Gives names and rate.
        mixture: Shape `(samples, channels)`.
        stems: The true ones, shape `(stems, samples, channels)`.
        estimates: The same shape.
    """

    def magnitude(waveform: np.ndarray) -> np.ndarray:
        # Not librosa's: in a new environment its first call compiles for 25 s.
        return np.abs(signal.stft(waveform.mean(axis=1, dtype=np.float32), _N_FFT, _HOP_LENGTH))

    whole = magnitude(mixture)
    rows = []
    for name, true, estimated in zip(config.stems, stems, estimates, strict=True):
        found = magnitude(estimated)
        mask = np.clip(found / np.maximum(whole, 1e-5), 0, 1)
        rows.append((name, [magnitude(true), found, mask]))
    return plots.separations(whole, rows, _HOP_LENGTH / config.sample_rate, config.sample_rate / 2)
