"""Separation models: map a window of the mixture to the waveform of each stem."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import config as configs
from common import runs
from separation import inference, losses, wiener
from separation.config import MODELS, TASK, Config
from separation.layers import ComplexSpectra, MaskedSpectra, Masks, MixtureSpectrum, SpectrumFeatures, StemWaveforms
from separation.networks.tfc_tdf import tfc_tdf
from separation.networks.unet import unet

__all__ = [
    "MODELS",
    "Separator",
    "build_model",
    "compile_model",
    "for_inference",
    "load_for_inference",
    "load_model",
    "window_stems",
]

_NETWORKS = {"unet": unet, "tfc_tdf": tfc_tdf}


def build_model(config: Config) -> keras.Model:
    """Build the model.

    Args:
        config: The configuration, with the `sample_rate` and `num_channels` of the corpus; see `data.load_corpus`.

    Returns:
        A model from a mixture `(batch, window_samples, channels)` to a dictionary: `stems`
        `(batch, stems, window_samples, channels)`, `spectra` `(batch, stems, channels, 2, frames, bins)`, and, if the
        network estimates masks in [0, 1], `masks` `(batch, stems, channels, frames, bins - 1)`.
    """
    num_stems, channels = len(config.stems), config.num_channels
    framing = {"n_fft": config.n_fft, "hop_length": config.hop_length}
    mixture = keras.Input((config.window_samples, channels), name="mixture", dtype="float32")
    spectrum = MixtureSpectrum(dtype="float32", name="spectrum", **framing)(mixture)
    is_complex = config.mask in ("complex", "spectrum")
    # A network cannot estimate phases from magnitudes alone.
    parts = config.model == "tfc_tdf" or config.mask == "spectrum"
    features = SpectrumFeatures(parts=parts, name="features")(spectrum)
    estimates = _NETWORKS[config.model](config, features, num_stems * channels * (2 if is_complex else 1))
    outputs = {}
    if is_complex:
        spectra = ComplexSpectra(num_stems, config.mask == "complex", dtype="float32", name="spectra")(
            [spectrum, estimates]
        )
    else:
        outputs["masks"] = Masks(num_stems, config.mask == "softmax", dtype="float32", name="masks")(estimates)
        spectra = MaskedSpectra(config.mask, dtype="float32", name="spectra")([spectrum, outputs["masks"]])
    outputs["spectra"] = spectra
    outputs["stems"] = StemWaveforms(config.window_samples, dtype="float32", name="stems", **framing)(spectra)
    return Separator(mixture, outputs, name=config.model)


@dataclasses.dataclass(frozen=True)
class Objective:
    """Losses and metrics of training.

    Attributes:
        config: Gives the losses.
        metrics: Updated with the true stems and all outputs of the model.
    """

    config: Config
    metrics: tuple[keras.metrics.Metric, ...]

    def loss(self, truth: tf.Tensor, estimate: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return the sum of the configured losses."""
        return tf.add_n([losses.FUNCTIONS[name](self.config, truth, estimate) for name in self.config.loss])


@keras.saving.register_keras_serializable(package="quartet")
class Separator(keras.Model):
    """A model whose losses and metrics use several outputs at once.

    In Keras a loss or metric belongs to one output. Here all outputs have one target, the true stems.

    Attributes:
        objective: Set by `compile_model`.
    """

    objective: Objective

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the objective's loss."""
        loss = self.objective.loss(y, y_pred)
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(y)[0])
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Update the objective's metrics."""
        for metric in self.objective.metrics:
            metric.update_state(y, y_pred)
        return self.get_metrics_result()

    @property
    def metrics(self):
        """The loss and the objective's metrics."""
        return [*super().metrics, *(self.objective.metrics if hasattr(self, "objective") else ())]


@keras.saving.register_keras_serializable(package="quartet")
class StemSdr(keras.metrics.Metric):
    """Signal-to-distortion ratio in dB of one stem, or the mean over stems.

    The energies of all windows are summed before the division, so that errors also count in windows where the stem is
    silent.

    Args:
        stem: Index of the stem; None for the mean over all stems.
        num_stems: Number of stems.
        **kwargs: Arguments of `keras.metrics.Metric`.
    """

    def __init__(self, num_stems: int, stem: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.num_stems = num_stems
        self.stem = stem
        self.signal = self.add_weight(shape=(num_stems,), initializer="zeros", name="signal")
        self.distortion = self.add_weight(shape=(num_stems,), initializer="zeros", name="distortion")

    def update_state(self, truth, estimate, sample_weight=None):
        """Add a batch: the true stems, and the model's outputs."""
        self.signal.assign_add(tf.reduce_sum(tf.square(truth), axis=(0, 2, 3)))
        self.distortion.assign_add(tf.reduce_sum(tf.square(truth - estimate["stems"]), axis=(0, 2, 3)))

    def result(self):
        """Return the ratio in dB."""
        ratios = 10 / tf.math.log(10.0) * tf.math.log((self.signal + 1e-7) / (self.distortion + 1e-7))
        return tf.reduce_mean(ratios) if self.stem is None else ratios[self.stem]

    def get_config(self):
        """Return the arguments of the metric."""
        return {**super().get_config(), "num_stems": self.num_stems, "stem": self.stem}


@keras.saving.register_keras_serializable(package="quartet")
class MaskAccuracy(keras.metrics.Mean):
    """Fraction of bins where the mask, thresholded at 0.5, equals the ideal binary mask, as in the report."""

    def __init__(self, n_fft: int, hop_length: int, **kwargs):
        super().__init__(**{"name": "accuracy", **kwargs})
        self.n_fft = n_fft
        self.hop_length = hop_length

    def update_state(self, truth, estimate, sample_weight=None):
        """Add a batch: the true stems, and the model's outputs."""
        ideal = losses.ideal_binary_masks(losses.stem_magnitudes(self, truth)[..., :-1])
        super().update_state(tf.cast(tf.equal(estimate["masks"] > 0.5, ideal > 0.5), tf.float32))

    def get_config(self):
        """Return the arguments of the metric."""
        return {**super().get_config(), "n_fft": self.n_fft, "hop_length": self.hop_length}


def compile_model(
    model: keras.Model, config: Config, optimizer: keras.optimizers.Optimizer, steps_per_execution: int
) -> None:
    """Set the optimizer and the metrics: `sdr`, `<stem>_sdr` for each stem, and with `bce` the mask `accuracy`."""
    num_stems = len(config.stems)
    metrics = [StemSdr(num_stems, name="sdr")]
    metrics += [StemSdr(num_stems, index, name=f"{stem}_sdr") for index, stem in enumerate(config.stems)]
    if "bce" in config.loss:
        metrics.append(MaskAccuracy(config.n_fft, config.hop_length))
    model.objective = Objective(config, tuple(metrics))
    model.compile(
        optimizer=optimizer,
        jit_compile=config.jit_compile,
        steps_per_execution=steps_per_execution,
    )


def load_model(run_dir: str | Path) -> tuple[Config, keras.Model]:
    """Load the model of a run in float32, with its saved weights.

    Raises:
        UserError: The folder is not a separation run, or has no weights yet.
    """
    config = configs.load(Config, TASK, Path(run_dir) / "config.json")
    with runs.in_float32(), runs.rebuilding(run_dir):
        model = build_model(config)
    runs.load_weights(model, run_dir)
    return config, model


def load_for_inference(
    run_dir: str | Path, *, overlap: float | None = None, wiener_iterations: int | None = None
) -> inference.StemSeparator:
    """Load the separator of a run.

    Args:
        run_dir: A trained run.
        overlap: Overlap of consecutive windows, as a fraction of a window. Defaults to the configuration of the run.
        wiener_iterations: Iterations of the multichannel Wiener filter. Defaults to the configuration of the run.

    Raises:
        UserError: As in `load_model`, or an argument is out of range.
    """
    config, model = load_model(run_dir)
    chosen = {"overlap": overlap, "wiener_iterations": wiener_iterations}
    given = {name: value for name, value in chosen.items() if value is not None}
    return for_inference(model, dataclasses.replace(config, **given))


def for_inference(model: keras.Model, config: Config) -> inference.StemSeparator:
    """Return a separator for a model.

    Batches are padded to a fixed size, so the model is traced once, and the result for a window does not depend on the
    number of windows.
    """
    shape = (inference.BATCH_SIZE, config.window_samples, config.num_channels)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)
    def stems_of(windows: tf.Tensor) -> tf.Tensor:
        return window_stems(model, config, windows)

    def run(windows: np.ndarray) -> np.ndarray:
        num_batches = -(-len(windows) // inference.BATCH_SIZE)
        filled = np.zeros((num_batches * inference.BATCH_SIZE, *shape[1:]), np.float32)
        filled[: len(windows)] = windows
        return np.concatenate([stems_of(batch).numpy() for batch in filled.reshape(-1, *shape)])[: len(windows)]

    return inference.StemSeparator(
        run,
        stems=config.stems,
        sample_rate=config.sample_rate,
        channels=config.num_channels,
        window_samples=config.window_samples,
        hop_samples=config.window_hop,
    )


def window_stems(model: keras.Model, config: Config, windows: tf.Tensor) -> tf.Tensor:
    """Separate windows `(batch, window_samples, channels)` into `(batch, stems, window_samples, channels)`."""
    outputs = model(windows, training=False)
    if not config.wiener_iterations:
        return outputs["stems"]
    return wiener.filter_stems(config, windows, outputs["spectra"])
