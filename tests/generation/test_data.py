import dataclasses

import numpy as np
import pytest
import soundfile

from benchmarks.example_corpora.riffs import RATE, write_riffs
from common.errors import UserError
from generation import data
from generation.config import VARIANTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_riffs(tmp_path_factory.mktemp("riffs"))


@pytest.fixture(scope="module")
def config(folder):
    return dataclasses.replace(VARIANTS["tiny"], corpus="folder", data_dir=str(folder))


@pytest.fixture(scope="module")
def split(config, tmp_path_factory):
    return data.prepare_split(data.load_corpus(config, tmp_path_factory.mktemp("shards")), "train")


def test_random_excerpts_are_cut_from_the_files(config, split, folder):
    tracks = {name: soundfile.read(folder / f"{name}.wav", dtype="float32")[0] for name in split.bank.tracks}
    excerpts = data.random_excerpts(config, split, 6, (0, 0))
    assert excerpts.shape == (6, config.num_samples)
    for excerpt in excerpts:
        found = [
            np.argmin(np.abs(np.lib.stride_tricks.sliding_window_view(track, 64) - excerpt[:64]).max(axis=1))
            for track in tracks.values()
        ]
        assert any(
            len(track) - start >= len(excerpt) and np.abs(track[start : start + len(excerpt)] - excerpt).max() < 1e-4
            for start, track in zip(found, tracks.values(), strict=True)
        )
    assert np.abs(excerpts - data.random_excerpts(config, split, 6, (0, 1))).max() > 0.01


def test_consecutive_excerpts_follow_each_other(config, split):
    excerpts = data.consecutive_excerpts(config, split)
    assert len(excerpts) == 4 * 5
    track = split.bank.pcm[0][:, 0, 0] / 2**15
    np.testing.assert_allclose(np.concatenate(excerpts[:5]), track[: 5 * config.num_samples], atol=1e-6)
    overlapping = data.consecutive_excerpts(config, split, 0.5)
    assert len(overlapping) == 4 * 9


def test_training_on_consecutive_excerpts_hears_no_others(config, split):
    config = dataclasses.replace(config, excerpts="consecutive")
    known = {excerpt.tobytes() for excerpt in data.consecutive_excerpts(config, split)}
    drawn = {excerpt.tobytes() for excerpt in data.random_excerpts(config, split, 300, (0, 0))}
    assert drawn == known


def test_a_resumed_stream_goes_on_where_it_was(config, split):
    stream = data.build_dataset(config, split, training=True)
    third = next(iter(stream.skip(2)))
    resumed = next(iter(data.build_dataset(config, split, training=True, initial_step=2)))
    np.testing.assert_array_equal(third, resumed)


def test_a_batch_has_examples_for_every_step_of_the_discriminator(config, split):
    several = dataclasses.replace(config, discriminator_steps=3)
    assert next(iter(data.build_dataset(several, split, training=True))).shape[0] == 3 * config.batch_size
    assert several.step_examples == 3 * config.step_examples == 3 * config.batch_size
    assert data.steps_per_epoch(several, split) == max(1, config.epoch_examples // (3 * config.batch_size))


def test_a_genre_that_is_not_there_is_one_line(config):
    with pytest.raises(UserError, match="there is no 'rif', only riff. Did you mean .riff"):
        data.load_corpus(dataclasses.replace(config, genre=("rif",)), "shards")


def test_tracks_shorter_than_an_excerpt_are_left_out(config, tmp_path):
    write_riffs(tmp_path / "music", 3.0)
    for number in range(4):
        soundfile.write(tmp_path / "music/train/riff" / f"short{number}.wav", np.full(RATE // 2, 0.1), RATE)
    config = dataclasses.replace(config, data_dir=str(tmp_path / "music"), max_rejected=0.5)
    split = data.prepare_split(data.load_corpus(config, tmp_path / "shards"), "train")
    assert len(split.bank.tracks) == 4 == len(split.bank.pcm)
    assert len(split.bank.rejected) == 4 and "shorter than an excerpt of 1 s" in split.bank.rejected["reason"].iloc[0]
    with pytest.raises(UserError, match="4 of 8 tracks cannot be used: 50%.* shorter than an excerpt"):
        strict = dataclasses.replace(config, max_rejected=0.05)
        data.prepare_split(data.load_corpus(strict, tmp_path / "shards"), "train")


def test_silent_tracks_are_refused(config, tmp_path):
    write_riffs(tmp_path / "music", 2.0)
    for path in (tmp_path / "music/train/riff").iterdir():
        soundfile.write(path, np.zeros(2 * RATE), RATE)
    config = dataclasses.replace(config, data_dir=str(tmp_path / "music"))
    with pytest.raises(UserError, match="is silent"):
        data.prepare_split(data.load_corpus(config, tmp_path / "shards"), "train")


def test_folds_deal_tracks(config):
    seen = []
    for fold in range(4):
        folds = dataclasses.replace(config, split_rule="folds", num_folds=4, fold=fold)
        table = data.load_corpus(folds, "shards").manifest
        seen += list(table.loc[table["split"] == "test", "track"])
    assert sorted(seen) == sorted(set(seen)) and len(seen) == 8


@pytest.mark.parametrize("excerpts", ["random", "consecutive"])
def test_the_files_of_a_batch_are_those_it_was_cut_from(config, split, folder, excerpts):
    config = dataclasses.replace(config, excerpts=excerpts, discriminator_steps=2)
    batch = next(iter(data.build_dataset(config, split, training=True, initial_step=4))).numpy()
    files = data.batch_files(config, split, 4)
    assert len(files) == len(batch)
    for text, excerpt in zip(files, batch, strict=True):
        track, seconds = text.removesuffix(" s").rsplit(" at ", 1)
        recorded, _ = soundfile.read(folder / f"{track}.wav", dtype="float32")
        about = round(float(seconds) * RATE)
        differences = [
            np.abs(recorded[start : start + len(excerpt)] - excerpt).max()
            for start in range(max(0, about - 111), about + 112)
            if start + len(excerpt) <= len(recorded)
        ]
        assert min(differences) < 1e-4


def test_folds_keep_the_stems_of_a_song_together(config, tmp_path):
    for song in range(6):
        for stem in ("vocals", "drums", "bass"):
            path = tmp_path / f"song {song}" / f"{stem}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, np.zeros(RATE), RATE)
    config = dataclasses.replace(config, data_dir=str(tmp_path), split_rule="folds", num_folds=3)
    table = data.load_corpus(config, tmp_path / "shards").manifest
    songs = table["track"].str.partition("/")[0]
    assert (table.groupby(songs)["split"].nunique() == 1).all() and set(table["split"]) == {
        "train",
        "validation",
        "test",
    }
    assert set(table["speaker"]) == {""}
