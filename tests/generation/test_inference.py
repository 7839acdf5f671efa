import dataclasses

import numpy as np
import pytest
import soundfile

from common.errors import UserError
from common.training import loop
from generation import inference, noise
from generation.config import VARIANTS
from generation.models import build_model, for_inference

SMALL = dataclasses.replace(VARIANTS["report-reduced"], clip_seconds=1.0)


@pytest.fixture(scope="module", params=["tiny", "report"])
def generator(request):
    config = VARIANTS["tiny"] if request.param == "tiny" else SMALL
    loop.prepare(config)
    return for_inference(build_model(config))


def recording(**changes):
    """A generator over plain numpy, whose spectrogram is its noise; it keeps what its functions were given."""
    given = []

    def make_spectrogram(steps):
        given.append(steps)
        return np.tanh(np.repeat(steps, 10, axis=1))

    plain = {
        "make_spectrogram": make_spectrogram,
        "to_waveform": lambda scaled: scaled.mean(axis=2).repeat(100, axis=1),
        "sample_rate": 1000,
        "hop_samples": 100,
        "clip_seconds": 1.0,
        "clip_frames": 10,
        "any_length": False,
        "noise": noise.Noise(4, 2, "normal"),
        "low_db": np.full(4, -80.0, np.float32),
        "high_db": np.zeros(4, np.float32),
    }
    return inference.MusicGenerator(**plain | changes), given


def test_a_piece_has_the_length_asked_for(generator):
    rate = generator.sample_rate
    for seconds in (0.5, 1.0, 3.7):
        piece = generator.generate(3, seconds)
        assert piece.waveform.dtype == np.float32 and len(piece.waveform) <= round(seconds * rate)
        assert piece.seconds == pytest.approx(seconds, abs=0.5 * piece.hop_samples / rate)
        assert len(piece.decibels) == round(seconds * rate / piece.hop_samples) + 1
        assert np.abs(piece.waveform).max() <= 0.9 + 1e-6
    unless_told = generator.generate()
    assert unless_told.seconds == pytest.approx(generator.clip_seconds, abs=1.5 * piece.hop_samples / rate)


def test_the_seed_decides_about_a_piece(generator):
    first, again, other = (generator.generate(seed, 2.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.waveform, again.waveform)
    np.testing.assert_array_equal(first.decibels, again.decibels)
    assert np.abs(first.decibels - other.decibels).max() > 1e-6


def test_the_way_goes_from_one_piece_to_the_other(generator):
    for share, seed in ((0, 1), (1, 2)):
        there, alone = generator.interpolate(1, 2, share, 2.0), generator.generate(seed, 2.0)
        np.testing.assert_allclose(there.decibels, alone.decibels, atol=1e-3)


def test_truncation_makes_noise_less():
    generator, given = recording()
    generator.generate(5)
    generator.generate(5, truncation=0.25)
    np.testing.assert_allclose(given[1], 0.25 * given[0], rtol=1e-6)


def test_excerpts_of_one_step_stand_between_their_neighbours():
    generator, given = recording()
    generator.generate(5, 3.0)
    # 31 frames in excerpts of 10, one each 5; the odd ones are half way, and the even ones have seeds of their own.
    (steps,) = given
    assert steps.shape == (6, 1, 4)
    for number in (0, 1, 2):
        np.testing.assert_array_equal(steps[2 * number, 0], generator.noise.draw(1, (5, number), 1)[0, 0])
    np.testing.assert_array_equal(steps[1], generator.noise.interpolate(steps[0], steps[2], 0.5))


def test_longer_pieces_of_any_length_are_more_steps_in_one_pass():
    generator, given = recording(any_length=True, noise=noise.Noise(4, 2, "uniform"))
    generator.generate(5, 9.0)
    (steps,) = given
    assert steps.shape == (1, noise.steps_for(91), 4)
    np.testing.assert_array_equal(steps, generator.noise.draw(1, (5, 0), noise.steps_for(91)))


def test_decibels_are_what_the_scale_says():
    generator, _ = recording(
        make_spectrogram=lambda steps: np.full((len(steps), 10, 4), 0.5, np.float32), low_db=np.array([-80, -40, 0, 0])
    )
    np.testing.assert_allclose(generator.generate().decibels[:5], np.tile([-20, -10, 0, 0], (5, 1)), atol=1e-4)


def test_cross_fading_joins_without_a_step():
    """Pictures of one value each: in between the values go over into each other frame by frame."""
    pictures = np.stack([np.full((20, 4), value, np.float32) for value in (0.0, 1.0, 1.0)])
    faded = inference.cross_fade(pictures, 10)[:, 0]
    assert len(faded) == 40 and faded[0] == 0 and faded[-1] == 1
    assert np.abs(np.diff(faded)).max() <= 0.1 + 1e-6 and np.all(np.diff(faded) >= -1e-6)


def test_a_piece_is_saved_and_says_what_it_is(tmp_path):
    generator, _ = recording()
    piece = generator.generate(2, 1.5)
    assert repr(generator) == "MusicGenerator(1 s by default, 1000 Hz)" and repr(piece) == "Piece(1.50 s, 1000 Hz)"
    piece.save(tmp_path / "piece.flac")
    written, rate = soundfile.read(tmp_path / "piece.flac")
    assert rate == 1000
    np.testing.assert_allclose(written, piece.waveform, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"seed": -1}, "seed: expected a whole number from 0"),
        ({"seed": 0.5}, "seed: expected a whole number"),
        ({"seconds": 0.1}, "seconds: expected a number from 0.5 to 600, got 0.1"),
        ({"seconds": float("nan")}, "seconds: expected"),
        ({"truncation": 3.0}, "truncation: expected a number from 0 to 2, got 3.0"),
    ],
)
def test_arguments_that_cannot_be(arguments, line):
    generator, given = recording()
    with pytest.raises(UserError, match=line):
        generator.generate(**arguments)
    with pytest.raises(UserError, match=line):
        generator.interpolate(**{"seed": 0, "to_seed": 1, "share": 0.5} | arguments)
    assert not given


def test_a_way_that_leads_beyond_its_ends():
    with pytest.raises(UserError, match="share: expected a number from 0 to 1, got 1.5"):
        recording()[0].interpolate(0, 1, 1.5)
    with pytest.raises(UserError, match="to_seed: expected"):
        recording()[0].interpolate(0, -1, 0.5)
