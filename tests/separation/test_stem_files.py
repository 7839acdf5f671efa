import numpy as np
import pytest
import soundfile

from common.errors import UserError
from separation.inference import StemSeparator
from separation.stem_files import chosen_stems, separate_file

RATE = 8000


@pytest.fixture
def separator():
    """A separator of plain numpy, for stereo at 8000 Hz."""
    return StemSeparator(
        lambda windows: np.stack([0.5 * windows, 0.25 * windows, 0.125 * windows], axis=1),
        stems=("vocals", "drums", "bass"),
        sample_rate=RATE,
        channels=2,
        window_samples=4000,
        hop_samples=3000,
    )


@pytest.fixture
def song(tmp_path, rng):
    path = tmp_path / "song.wav"
    soundfile.write(path, rng.uniform(-0.3, 0.3, (25 * RATE, 2)), RATE, subtype="FLOAT")
    return path


def separate(separator, song, names, **options):
    targets = {name: song.parent / f"{name}.wav" for name in names}
    separate_file(separator, song, targets, subtype="FLOAT", **options)
    return {name: soundfile.read(path, dtype="float32", always_2d=True)[0] for name, path in targets.items()}


def test_files_hold_what_separating_in_memory_gives(separator, song):
    expected = separator.separate(song)
    found = separate(separator, song, separator.stems)
    for name, waveform in found.items():
        np.testing.assert_array_equal(waveform, expected[name])


def test_stems_together_with_the_residual_or_made_consistent_are_the_song(separator, song):
    waveform, _ = soundfile.read(song, dtype="float32")
    found = separate(separator, song, ["drums", "residual"])
    np.testing.assert_allclose(found["drums"], 0.25 * waveform, atol=1e-6)
    np.testing.assert_allclose(found["residual"], 0.75 * waveform, atol=1e-6)
    consistent = separate(separator, song, separator.stems, consistent=True)
    np.testing.assert_allclose(sum(consistent.values()), waveform, atol=1e-6)


def test_an_excerpt_and_what_was_not_named(separator, song):
    waveform, _ = soundfile.read(song, dtype="float32")
    found = separate(separator, song, ["vocals", "accompaniment"], offset=2.0, duration=0.7)
    part = waveform[2 * RATE : 2 * RATE + round(0.7 * RATE)]
    np.testing.assert_allclose(found["vocals"], 0.5 * part, atol=1e-6)
    np.testing.assert_allclose(found["accompaniment"], 0.375 * part, atol=1e-6)


def test_more_channels_than_a_stereo_model_takes(separator, tmp_path):
    six = tmp_path / "six.wav"
    soundfile.write(six, np.zeros((RATE, 6)), RATE)
    with pytest.raises(UserError, match=r"six\.wav has 6 channels, expected one or two"):
        separate(separator, six, ["vocals"])
    assert not (tmp_path / "vocals.wav").exists()


def test_stems_are_chosen_by_name():
    known = ("vocals", "drums", "bass")
    assert chosen_stems(known, None) == {"vocals": [0], "drums": [1], "bass": [2]}
    assert chosen_stems(known, ["accompaniment", "bass"]) == {"accompaniment": [0, 1], "bass": [2]}
    assert chosen_stems(("vocals", "accompaniment"), ["accompaniment"]) == {"accompaniment": [1]}


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (["vocal"], "stems: expected any of vocals, drums, accompaniment, got 'vocal'. Did you mean \"vocals\"?"),
        (["drums", "drums"], "stems: expected each stem once, got drums,drums"),
        (["drums", "vocals", "accompaniment"], "stems: no stem is left for accompaniment"),
    ],
)
def test_stems_that_cannot_be(wanted, line):
    with pytest.raises(UserError) as caught:
        chosen_stems(("vocals", "drums"), wanted)
    assert str(caught.value).startswith(line)
