import keras
import numpy as np
import pytest

from common.encoders import classifier
from common.encoders.config import ClassifierConfig
from common.errors import UserError
from tests.errors import refused


def no_run(path):
    raise AssertionError("no run is loaded here")


def embed(**changes):
    config = ClassifierConfig(**{"model": "ds_cnn", "max_time_mask": 0, "max_frequency_mask": 0, **changes})
    waveform = keras.Input((config.num_samples,))
    return config, keras.Model(waveform, classifier.encode(config, waveform, no_run))


def test_the_embedding_of_a_run_is_what_its_encoder_gave(tmp_path):
    """Whatever head follows: one of several layers, as for ordinal counts, too."""
    for name in ("config.json", "model.keras"):
        (tmp_path / name).touch()
    config, encoder = embed(clip_seconds=0.5)
    more = keras.layers.Dense(2, activation="sigmoid")(encoder.output)
    model = keras.Model(encoder.input, keras.layers.Softmax()(more))
    wanted = ClassifierConfig(model="embedding", embedding=str(tmp_path), clip_seconds=0.5)
    waveform = keras.Input((wanted.num_samples,))
    taken = classifier.encode(wanted, waveform, lambda path: (config, model))
    assert taken.shape == encoder.output.shape


@pytest.mark.parametrize("features", ["log_mel", "mfcc", "spectrogram_db", "magnitude"])
def test_every_feature_feeds_a_network(features, rng):
    config, model = embed(features=features, clip_seconds=0.5)
    embedding = model(rng.normal(0, 0.1, (2, config.num_samples)).astype(np.float32)).numpy()
    assert embedding.shape[0] == 2
    assert np.isfinite(embedding).all()


def test_standardised_magnitudes_say_nothing_about_the_level(rng):
    config, model = embed(features="magnitude", clip_seconds=0.5)
    waveform = rng.normal(0, 0.1, (1, config.num_samples)).astype(np.float32)
    np.testing.assert_allclose(model(waveform), model(10 * waveform), rtol=1e-3, atol=1e-4)


def test_a_clip_too_short_for_a_network_is_one_line():
    with pytest.raises(UserError, match=r"model=countnet does not support clips of 0\.1 s"):
        embed(model="countnet", features="magnitude", n_fft=400, win_length=400, clip_seconds=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"win_length": 1024}, "--win_length"),
        ({"features": "mfcc", "max_vocal_tract_warp": 0.1}, "--max_vocal_tract_warp"),
        ({"min_snr_db": 50.0}, "--min_snr_db"),
        ({"embedding": "somewhere"}, "--embedding"),
        ({"model": "nothing"}, "--model"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, message):
    with refused(message):
        ClassifierConfig(**changes)
