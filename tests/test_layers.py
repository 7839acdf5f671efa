"""What every Keras layer of the toolkit does alike: it follows its dtype policy, and takes a batch of nothing."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import keras
import numpy as np
import pytest

from common import features
from common.augmentation import spectrogram
from common.encoders import normalization
from common.encoders.embedding import SavedModelEmbedding
from common.encoders.litert_embedding import LiteRTEmbedding
from counting import models as counting_models
from generation import layers as generation_layers
from generation import spectra
from generation.config import VARIANTS
from separation import layers as separation_layers
from separation.networks.unet import FoldedConv2DTranspose
from tests.litert_files import write_litert

PACKAGES = ("common", "kws", "counting", "separation", "generation")
FRAMING = {"n_fft": 64, "hop_length": 16}
WAVEFORM, PICTURE, SPECTROGRAM, CHOICES = (2, 800), (2, 6, 8, 4), (2, 10, 8), (2, 3)
MIXTURE, SPECTRUM = (2, 128, 2), (2, 2, 2, 9, 33)
# Every layer, its arguments, and the shape of its input or inputs.
LAYERS = {
    features.Spectrogram: (FRAMING, WAVEFORM),
    features.LogMel: ({**FRAMING, "win_length": 64, "num_mels": 8}, WAVEFORM),
    features.MFCC: ({**FRAMING, "num_mels": 16}, WAVEFORM),
    features.InverseSpectrogram: (FRAMING, (2, 9, 33, 2)),
    features.GriffinLim: ({**FRAMING, "num_iterations": 2}, (2, 9, 33)),
    spectrogram.SpecAugment: ({}, SPECTROGRAM),
    spectrogram.VocalTractPerturbation: ({"max_warp": 0.1}, SPECTROGRAM),
    spectrogram.TimeStretch: ({"max_stretch": 0.1}, SPECTROGRAM),
    spectrogram.RandomEqualizer: ({"deviation_db": 3.0}, SPECTROGRAM),
    normalization.FusedBatchNormalization: ({}, PICTURE),
    normalization.SubSpectralNormalization: ({"num_bands": 2}, PICTURE),
    SavedModelEmbedding: ({}, WAVEFORM),
    LiteRTEmbedding: ({}, WAVEFORM),
    counting_models.OrdinalProbabilities: ({}, CHOICES),
    counting_models.PoissonProbabilities: ({"counts": (1, 2, 3)}, (2, 1)),
    separation_layers.MixtureSpectrum: (FRAMING, MIXTURE),
    separation_layers.StemWaveforms: ({**FRAMING, "length": 128}, (2, 3, 2, 2, 9, 33)),
    separation_layers.SpectrumFeatures: ({"parts": True}, SPECTRUM),
    separation_layers.Masks: ({"num_stems": 2}, PICTURE),
    separation_layers.MaskedSpectra: ({"kind": "ratio"}, [SPECTRUM, (2, 3, 2, 9, 32)]),
    separation_layers.ComplexSpectra: ({"num_stems": 3, "masks": True}, [SPECTRUM, (2, 9, 32, 12)]),
    separation_layers.FrequencyDense: ({"units": 3}, PICTURE),
    FoldedConv2DTranspose: ({"filters": 2}, PICTURE),
    spectra.Spectra: ({"config": VARIANTS["tiny"]}, (2, 16000)),
    generation_layers.PixelNormalization: ({}, PICTURE),
    generation_layers.BatchDeviation: ({}, PICTURE),
    generation_layers.DepthToSpace: ({"size": 2}, PICTURE),
    generation_layers.SpectralConv2D: ({"filters": 3, "kernel_size": 3}, PICTURE),
}
# What others are made of.
PARENTS = {features.FramedLayer, features.MelLayer, spectrogram._RandomLayer}


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory) -> str:
    """A SavedModel of (batch, samples) to (batch, 4)."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    model = keras.Sequential([keras.Input(WAVEFORM[1:]), keras.layers.Dense(4)])
    model.export(folder, verbose=False)
    return str(folder)


def call(kind: type, policy: str, batch: int, folder: str, training: bool):
    """Make a layer and call it on so many examples of random numbers in [0, 1]."""
    arguments, shapes = LAYERS[kind]
    if kind is SavedModelEmbedding:
        arguments = {"folder": folder}
    if kind is LiteRTEmbedding:
        arguments = {"file": str(write_litert(Path(folder).parent / "front_end.tflite"))}
    layer = kind(**arguments, dtype=policy)
    rng = np.random.default_rng(0)
    inputs = [
        rng.uniform(size=shape).astype(np.float32) for shape in (shapes if isinstance(shapes, list) else [shapes])
    ]
    layer(_one(inputs))  # with examples, so that what is built is built
    options = {"training": training} if "training" in inspect.signature(layer.call).parameters else {}
    outputs = layer(_one([values[:batch] for values in inputs]), **options)
    expected = layer.compute_output_shape(_one([(batch, *values.shape[1:]) for values in inputs]))
    return layer, outputs, tuple(expected)


def _one(values: list):
    return values if len(values) > 1 else values[0]


def test_no_layer_is_left_out():
    found = set()
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            members = vars(importlib.import_module(module.name)).values()
            found |= {one for one in members if inspect.isclass(one) and issubclass(one, keras.layers.Layer)}
    own = {one for one in found if one.__module__.split(".")[0] in PACKAGES and not issubclass(one, keras.Model)}
    assert own == set(LAYERS) | PARENTS


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16", "float16", "float64"])
@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_a_layer_follows_its_policy(kind, policy, saved_model):
    for training in (False, True):
        layer, outputs, shape = call(kind, policy, 2, saved_model, training)
        assert outputs.dtype.name == layer.compute_dtype == keras.dtype_policies.get(policy).compute_dtype
        assert tuple(outputs.shape) == shape
        assert np.isfinite(np.asarray(outputs, np.float32)).all()


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_a_layer_takes_a_batch_of_nothing(kind, saved_model):
    for training in (False, True):
        layer, outputs, shape = call(kind, "float32", 0, saved_model, training)
        assert tuple(outputs.shape) == shape and shape[0] == 0
        assert all(np.isfinite(weight).all() for weight in layer.get_weights())
