"""The corpus of synthetic songs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import istft, stft

from common import audio
from common.corpora import manifest, synthetic_songs, synthetic_words
from common.errors import UserError
from common.synthesis.music.score import Settings
from common.synthesis.speech import espeak
from tests.errors import refused

POP = {"num_songs": 4, "seconds": 3.0}
METAL = {"num_songs": 3, "seconds": 2.0}
POP_STEMS, METAL_STEMS = ("vocals", "drums", "bass", "other"), ("drums", "bass", "other")


def make_metal(root, num_songs, seconds, sample_rate=16000, channels=1, seed=0):
    return synthetic_songs.make(Settings(root, "metal", "en", seconds, sample_rate, channels, seed), num_songs)


@pytest.fixture(scope="module")
def wheel():
    pytest.importorskip("espeakng_loader", reason="needs the extra `speech`")


@pytest.fixture(scope="module")
def pop(wheel, tmp_path_factory):
    return synthetic_songs.index(tmp_path_factory.mktemp("pop"), **POP)


@pytest.fixture(scope="module")
def metal(tmp_path_factory):
    return make_metal(tmp_path_factory.mktemp("metal"), **METAL)


@pytest.fixture(scope="module")
def wide(metal):
    """The songs of `metal` on two channels and at a lower rate, beside the others."""
    return make_metal(Path(metal["path"][0]).parents[2], **METAL | {"channels": 2, "sample_rate": 8000})


def _stems(table) -> dict[str, dict[str, np.ndarray]]:
    """Read the files of each track, int16 of shape `(samples, channels)`."""
    tracks = {}
    for row in table.itertuples():
        tracks.setdefault(row.track, {})[row.stem] = soundfile.read(row.path, dtype="int16", always_2d=True)[0]
    return tracks


def _described(table) -> list[dict]:
    folders = sorted({Path(path).parent for path in table["path"]})
    return [json.loads((folder / "song.json").read_text()) for folder in folders]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_the_manifest_lists_the_stems_of_every_track(pop, metal):
    for table, settings, stems in ((pop, POP, POP_STEMS), (metal, METAL, METAL_STEMS)):
        assert tuple(table.columns) == manifest.COLUMNS
        assert len(table) == settings["num_songs"] * (len(stems) + 1)
        assert set(table["stem"]) == {"mixture", *stems}
        assert (table["duration"] == settings["seconds"]).all() and (table["start"] == 0).all()
        assert (table.groupby("track")["split"].nunique() == 1).all()
        assert table.drop_duplicates("track")["split"].tolist()[:3] == ["train", "validation", "test"]
        for row in table.itertuples():
            info = soundfile.info(row.path)
            assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
            assert info.frames == 16000 * settings["seconds"]
            assert Path(row.path).parts[-2:] == (row.track, f"{row.stem}.wav")


def test_the_mixture_is_the_sum_of_the_stems_to_the_last_bit(pop, metal):
    for table, names in ((pop, POP_STEMS), (metal, METAL_STEMS)):
        for stems in _stems(table).values():
            total = sum(stems[name].astype(np.int32) for name in names)
            assert np.array_equal(total, stems["mixture"])


def test_all_is_heard_and_nothing_clips(pop, metal):
    for table in (pop, metal):
        for stems in _stems(table).values():
            for stem in stems.values():
                assert 300 < np.abs(stem.astype(np.int32)).max() < 32000
                assert abs(stem.mean()) < 0.01 * stem.std()
            assert max(np.abs(stem.astype(np.int32)).max() for stem in stems.values()) > 10000


def test_no_two_songs_are_the_same(pop):
    vocals = [stems["vocals"].tobytes() for stems in _stems(pop).values()]
    assert len(set(vocals)) == len(vocals)
    described = _described(pop)
    assert len({song["tempo_bpm"] for song in described}) == len(described)
    assert len({song["voice"] for song in described}) == len(described)


def test_voice_and_accompaniment_are_as_loud_as_described(pop):
    for stems, song in zip(_stems(pop).values(), _described(pop), strict=True):
        vocals, backing = (stem / 2**15 for stem in (stems["vocals"], stems["mixture"] - stems["vocals"]))
        heard = synthetic_songs._is_active(vocals)
        assert heard.mean() > 0.2
        measured_db = 10 * np.log10(np.square(vocals[heard]).mean() / np.square(backing[heard]).mean())
        assert measured_db == pytest.approx(song["levels_db"]["vocals"], abs=0.1)


def test_the_voice_is_as_loud_as_the_rest_on_average(rng):
    levels_db = [
        synthetic_songs._balance({stem: rng.standard_normal((200, 1)) for stem in POP_STEMS}, rng)["vocals"]
        for _ in range(200)
    ]
    assert -2 <= min(levels_db) < -1.8 and 1.8 < max(levels_db) <= 2
    assert abs(np.mean(levels_db)) < 0.2


def _si_sdr_db(estimate, reference):
    target = estimate @ reference / (reference @ reference) * reference
    return 10 * np.log10((target @ target) / np.square(estimate - target).sum())


def test_no_fixed_filter_separates_the_voice(pop):
    # The Wiener filter of the other songs' mean spectra is what a network has to beat.
    framing = {"nperseg": 2048, "noverlap": 1536}
    tracks = [
        (stems["vocals"][:, 0] / 2**15, (stems["mixture"] - stems["vocals"])[:, 0] / 2**15)
        for stems in _stems(pop).values()
    ]
    power = np.array([[np.square(np.abs(stft(part, **framing)[2])).mean(axis=1) for part in track] for track in tracks])
    power /= power.sum(axis=(1, 2), keepdims=True)
    gains_db = []
    for number, (vocals, backing) in enumerate(tracks):
        voice, rest = np.delete(power, number, axis=0).sum(axis=0)
        assert voice.shape == (1025,)
        spectrum = stft(vocals + backing, **framing)[2] * (voice / (voice + rest))[:, np.newaxis]
        filtered = istft(spectrum, **framing)[1][: len(vocals)]
        gains_db.append(_si_sdr_db(filtered, vocals) - _si_sdr_db(vocals + backing, vocals))
    assert -1 < np.mean(gains_db) < 4


def test_splits_share_neither_songs_nor_voices():
    settings = Settings(Path("nowhere"), "pop", "en", 4.0, 16000, 1, 0)
    drawn = [synthetic_songs._draw_song(settings, ["en-gb", "en-us"], number) for number in range(100)]
    assert [song.split for song in drawn].count("train") == 80
    assert [song.split for song in drawn].count("validation") == [song.split for song in drawn].count("test") == 10
    assert len({song.seed for song in drawn}) == 100
    for song in drawn:
        assert song.variant in synthetic_words.VARIANTS[song.split][song.sex].split()
    voices = {split: {song.variant for song in drawn if song.split == split} for split in manifest.SPLITS}
    assert not voices["train"] & (voices["validation"] | voices["test"]) and not voices["validation"] & voices["test"]
    assert len(voices["train"]) > 40 and min(map(len, voices.values())) >= 6
    for split in manifest.SPLITS:
        sexes = [song.sex for song in drawn if song.split == split]
        assert sexes.count("F") == sexes.count("M")


@pytest.mark.slow
def test_songs_do_not_depend_on_their_number_nor_on_what_was_there(pop, tmp_path):
    complete = Path(pop["path"][0]).parents[1]
    # Killed in the middle of the second song, and a file of the first one is lost.
    folder = tmp_path / complete.name
    shutil.copytree(complete / "song_0000", folder / "song_0000")
    (folder / "song_0000" / "bass.wav").unlink()
    shutil.copytree(complete / "song_0002", folder / "song_0002")
    (folder / ".song_0001.0a1b2c3d").mkdir()
    (folder / ".song_0001.0a1b2c3d" / "mixture.wav").write_bytes(b"RIFF")
    kept = (folder / "song_0002" / "mixture.wav").stat().st_mtime_ns
    table = synthetic_songs.index(tmp_path, **POP | {"num_songs": 3})
    assert sorted(set(table["track"])) == [f"song_{number:04d}" for number in range(3)]
    assert (folder / "song_0002" / "mixture.wav").stat().st_mtime_ns == kept
    for number in range(3):
        assert _bytes(folder / f"song_{number:04d}") == _bytes(complete / f"song_{number:04d}")


def test_a_second_call_makes_nothing(pop, metal, monkeypatch):
    monkeypatch.setattr(synthetic_songs.parallel, "stripes", None)
    for table, make, settings in ((pop, synthetic_songs.index, POP), (metal, make_metal, METAL)):
        assert make(Path(table["path"][0]).parents[2], **settings).equals(table)


@pytest.mark.slow
def test_more_songs_add_to_those_that_are_there(metal, tmp_path):
    table = make_metal(tmp_path, **METAL | {"num_songs": 4})
    folders = [Path(table["path"][0]).parents[1] for table in (metal, table)]
    for number in range(3):
        assert _bytes(folders[0] / f"song_{number:04d}") == _bytes(folders[1] / f"song_{number:04d}")


@pytest.mark.slow
def test_a_song_is_whole_or_absent(tmp_path, monkeypatch):
    write, written = audio.write, []

    def write_two(path, *arguments):
        if len(written) == 6:
            raise KeyboardInterrupt
        written.append(path)
        write(path, *arguments)

    monkeypatch.setattr(synthetic_songs.audio, "write", write_two)
    with pytest.raises(KeyboardInterrupt):
        make_metal(tmp_path, **METAL)
    (folder,) = tmp_path.iterdir()
    assert [path.name for path in folder.iterdir()] == ["song_0000"]
    assert len(_bytes(folder / "song_0000")) == 5


def test_both_sides_differ_and_the_song_stays_the_same(metal, wide):
    for stems in _stems(wide).values():
        assert stems["mixture"].shape == (16000, 2)
        assert np.array_equal(sum(stems[name].astype(np.int32) for name in METAL_STEMS), stems["mixture"])
        left, right = (stems["other"][:, channel] / 2**15 for channel in (0, 1))
        assert 0.1 < np.square(left - right).mean() / np.square(left + right).mean() < 2
        bass = stems["bass"].astype(np.int32)
        assert np.array_equal(bass[:, 0], bass[:, 1])
    assert _described(wide) == _described(metal)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_songs": 2}, "at least 3 songs.*received 2"),
        ({"seconds": 1.5}, "at least 2 s; received 1.5"),
        ({"sample_rate": 4000}, "at least 8000 Hz; received 4000"),
        ({"channels": 3}, "1 or 2 channels; received 3"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(tmp_path, settings, message):
    with refused(message) as caught:
        synthetic_songs.index(tmp_path, **settings)
    assert "\n" not in caught.value.command_line
    assert not list(tmp_path.iterdir())


def test_a_style_that_nobody_plays_is_refused(tmp_path):
    with refused('unknown style "polka".*pop, metal'):
        synthetic_songs.make(Settings(tmp_path, "polka", "en", 2.0, 16000, 1, 0), 3)


@pytest.mark.parametrize(("language", "message"), [("englisch", "does not support"), ("cv", "cannot speak numbers")])
def test_a_language_that_cannot_be_sung_is_refused_in_one_line(wheel, tmp_path, language, message):
    with refused(message):
        synthetic_songs.index(tmp_path, language=language)
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="is a file; expected a folder"):
        synthetic_songs.index(tmp_path / "file")


def test_only_singing_needs_espeak(tmp_path, monkeypatch):
    def refuse():
        raise UserError("synthetic speech needs espeak-ng")

    monkeypatch.setattr(espeak, "_start", refuse)
    assert len(make_metal(tmp_path, **METAL | {"sample_rate": 8000})) == 12
    with pytest.raises(UserError, match="needs espeak-ng"):
        synthetic_songs.index(tmp_path)


def test_settings_lie_apart(metal, wide):
    root = Path(metal["path"][0]).parents[2]
    tables = [metal, wide, make_metal(root, **METAL | {"seed": 1})]
    assert len({Path(path).parents[1] for table in tables for path in table["path"]}) == 3
    contents = [Path(path).read_bytes() for table in tables for path in table["path"]]
    assert len(set(contents)) == len(contents)
