"""What file names say about songs that are taken apart."""

import pytest

from common.corpora import stem_names


@pytest.mark.parametrize(
    "name",
    ["mix", "Mixture", "mixdown", "Master", "full mix", "Full_Mix", "final mix v2", "original", "01 mix", "MASTER-2"],
)
def test_names_of_a_mixture(name):
    assert stem_names.is_mixture(name)


@pytest.mark.parametrize("name", ["vocals", "drum mix", "mix_drums", "song", "guitar", "final", "", "remix", "___"])
def test_other_names(name):
    assert not stem_names.is_mixture(name)


def test_the_words_of_the_song_do_not_count():
    assert stem_names.is_mixture("My Song_MIX", "My Song") and not stem_names.is_mixture("My Song_MIX", "Other")
    assert stem_names.is_mixture("Original Mix", "The Original Mix")


def test_what_is_a_song_without_a_part():
    names = ("accompaniment", "Instrumental", "no_vocals", "No Vocals", "minus drums", "karaoke")
    assert all(map(stem_names.is_derived, names))
    assert not any(map(stem_names.is_derived, ("vocals", "drums", "no", "backing vocals", "other")))


@pytest.mark.parametrize(
    ("track", "song"),
    [
        ("metal/one", "metal/one"),
        ("metal/one/vocals", "metal/one"),
        ("metal/one/Lead Vocals", "metal/one"),
        ("metal/one (Vocals)", "metal/one"),
        ("metal/one_drums", "metal/one"),
        ("metal/one - Bass", "metal/one"),
        ("1_one_(Instrumental)", "1_one"),
        ("one [no_vocals]", "one"),
        ("vocals/one", "one"),
        ("vocals", "."),
        ("metal/...", "metal/..."),
    ],
)
def test_the_song_of_a_recording(track, song):
    assert stem_names.song_of(track) == song
