"""Who is left out together: a speaker's recordings are never on both sides."""

import numpy as np
import pandas as pd
import pytest

from kws import left_out


def table(rows):
    """Recordings from (label, speaker) or (label, speaker, path, start, corpus)."""
    columns = ["label", "speaker", "path", "start", "corpus"]
    filled = [(*row, *(f"/{number}.wav", 0.0, "folder")[len(row) - 2 :]) for number, row in enumerate(rows)]
    return pd.DataFrame(filled, columns=columns)


def pairs(speakers, words=("yes", "no")):
    return table([(word, speaker) for word in words for speaker in speakers])


@pytest.mark.parametrize("number", [2, 7, 10, 11, 40])
def test_no_speaker_is_on_both_sides(number, rng):
    names = [f"speaker{index}" for index in range(number)]
    recordings = pairs([*names, *rng.choice(names, 20)], ("yes", "no", "stop"))
    plan = left_out.divide(recordings)
    assert plan.scored.all()
    assert len(plan.numbers()) == min(number, 10)
    for fold in plan.numbers():
        out = plan.folds == fold
        assert out.any() and not set(recordings["speaker"][out]) & set(recordings["speaker"][~out])
        assert set(recordings["label"][~out]) == {"yes", "no", "stop"}
    expected = "leave one speaker out" if number <= 10 else "leave one of 10 groups of speakers out"
    assert plan.how == expected


def test_without_names_each_recording_is_left_out():
    plan = left_out.divide(pairs([""] * 4))
    assert plan.how == "leave one recording out"
    assert sorted(plan.folds) == list(range(8))


def test_of_one_speaker_each_recording_is_left_out():
    """Leaving this speaker out would leave nothing."""
    plan = left_out.divide(pairs(["anna"] * 3))
    assert plan.how == "leave one recording out" and plan.scored.all()


def test_where_each_word_has_its_own_speaker_recordings_are_left_out():
    plan = left_out.divide(table([("yes", "anna")] * 3 + [("no", "ben")] * 3))
    assert plan.how == "leave one recording out" and plan.scored.all()


def test_the_only_recording_of_a_word_is_never_left_out():
    recordings = table([("yes", "anna"), ("yes", "ben"), ("no", "anna"), ("no", "ben"), ("stop", "anna")])
    plan = left_out.divide(recordings)
    assert plan.how == "leave one speaker out"
    np.testing.assert_array_equal(plan.scored, [True, True, True, True, False])


@pytest.mark.parametrize("speakers", [[""], ["anna"]])
def test_one_recording_of_each_word_cannot_be_left_out(speakers):
    plan = left_out.divide(pairs(speakers))
    assert plan.how == "" and not plan.scored.any() and not list(plan.numbers())


def test_synthetic_voices_are_never_left_out_and_no_reason_to_leave_out():
    rows = [
        (word, f"en+{number}", f"/{word}{number}.wav", 0.0, "synthetic") for word in ("yes", "no") for number in "12"
    ]
    plan = left_out.divide(table(rows + [("yes", "anna"), ("no", "anna"), ("yes", "ben"), ("no", "ben")]))
    np.testing.assert_array_equal(plan.scored, [False] * 4 + [True] * 4)
    assert plan.how == "leave one speaker out"
    # Synthetic words alone would remain of a word that one person has spoken.
    assert left_out.divide(table(rows + [("yes", "anna"), ("no", "anna")])).how == ""


def test_excerpts_of_a_file_are_left_out_together_unless_there_is_no_other_file():
    words = [(word, speaker) for word in ("yes", "no") for speaker in ("anna", "ben")]
    excerpts = [("_unknown_", "", path, float(start), "speech") for path in ("/a.wav", "/b.wav") for start in range(5)]
    plan = left_out.divide(table(words + excerpts))
    folds = plan.folds[4:].reshape(2, 5)
    assert (folds == folds[:, :1]).all() and folds[0, 0] != folds[1, 0]
    alone = left_out.divide(table(words + excerpts[:5]))
    assert alone.scored.all() and len(set(alone.folds[4:])) == 5
