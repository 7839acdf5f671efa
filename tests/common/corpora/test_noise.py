import pytest
import soundfile

from common.corpora import manifest, noise
from common.errors import UserError

RATE = 8000


@pytest.fixture
def noise_dir(tmp_path, rng):
    for name, seconds in (("wind", 3.5), ("deep/rain", 2.0), ("click", 0.4)):
        path = tmp_path / "noise" / f"{name}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, int(seconds * RATE)), RATE)
    return tmp_path / "noise"


def test_recordings_are_cut_into_consecutive_excerpts(noise_dir):
    table = noise.excerpts(noise.index(noise_dir), 1.0)
    wind = table[table["path"].str.endswith("wind.flac")]
    assert wind["start"].tolist() == [0.0, 1.0, 2.0]
    assert (wind["duration"] == 1.0).all()
    assert len(table) == 3 + 2 + 1


def test_a_recording_shorter_than_an_excerpt_is_kept_whole(noise_dir):
    table = noise.excerpts(noise.index(noise_dir), 1.0)
    assert table.loc[table["path"].str.endswith("click.flac"), "duration"].tolist() == [pytest.approx(0.4)]


def test_a_recording_stands_in_one_split(noise_dir):
    assert (noise.excerpts(noise.index(noise_dir), 0.5).groupby("path")["split"].nunique() == 1).all()


def test_excerpts_of_an_excerpt_stay_inside_it(noise_dir):
    rows = manifest.from_rows([{"path": noise_dir / "wind.flac", "start": 1.0, "duration": 2.2, "split": "test"}])
    assert noise.excerpts(rows, 1.0)["start"].tolist() == [1.0, 2.0]


def test_unreadable_recordings_are_left_out_and_counted(noise_dir, caplog):
    (noise_dir / "broken.wav").write_bytes(b"no audio")
    assert len(noise.index(noise_dir)) == 3
    assert "left out 1 unreadable recordings" in caplog.text


def test_recordings_without_samples_are_left_out(noise_dir, caplog):
    soundfile.write(noise_dir / "none.wav", [], RATE)
    assert not noise.index(noise_dir)["path"].str.endswith("none.wav").any()
    assert "none.wav has no samples" in caplog.text


@pytest.mark.parametrize("purpose", ["--noise_dir", "--speech_dir"])
def test_a_folder_of_which_nothing_can_be_read_is_one_line(tmp_path, purpose):
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    with pytest.raises(UserError, match=f"^{purpose.strip('-')}: none of the 1 recordings .* can be read"):
        noise.index(tmp_path, purpose)


def test_a_few_recordings_are_all_for_training(tmp_path, rng):
    names = [name for name in map(str, range(50)) if manifest.hash_split(name) != "train"][:2]
    for name in names:
        soundfile.write(tmp_path / f"{name}.wav", rng.normal(0, 0.1, RATE), RATE)
    assert noise.index(tmp_path)["split"].tolist() == ["train", "train"]


def test_the_folds_of_esc50_are_the_splits(real_data):
    table = noise.index(real_data / "esc10")
    assert set(table["split"]) == {"train", "validation", "test"}
    assert table["path"].nunique() == 90


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_no_noise_is_one_line(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="noise_dir takes a folder of"):
        noise.index(tmp_path / name)


def test_random_excerpts_lie_anywhere_inside_their_recording(noise_dir):
    recordings = noise.index(noise_dir)
    table = noise.draw(recordings, 1.0, 200)
    assert len(table) == 200
    lengths = dict(zip(recordings["path"], recordings["duration"], strict=True))
    assert (table["start"] >= 0).all()
    assert all(row.start + row.duration <= lengths[row.path] + 1e-9 for row in table.itertuples())
    wind = table[table["path"].str.endswith("wind.flac")]
    assert wind["start"].nunique() == len(wind) > 80
    assert noise.draw(recordings, 1.0, 200).equals(table)
    assert not noise.draw(recordings, 1.0, 200, seed=1).equals(table)


def test_noise_in_a_corpus_of_which_nothing_can_be_read_is_one_line(tmp_path):
    (tmp_path / "hiss.wav").write_bytes(b"no audio")
    with pytest.raises(UserError, match="none of the 1 recordings of background sound can be read"):
        noise.measured(manifest.from_rows([{"path": tmp_path / "hiss.wav"}]), "my_words")
    assert noise.measured(manifest.from_rows([]), "my_words").empty
