import numpy as np
import pytest
import soundfile

from common.corpora import manifest
from common.data import shards, speech_bank
from common.errors import UserError

RATE = 16000


@pytest.fixture
def prepared(tmp_path, rng):
    """Anna speaks in the first of two seconds, Bert all the time in two recordings, Carl never."""
    speech = rng.normal(0, 0.1, RATE)
    waveforms = {"anna": [np.concatenate([speech, np.zeros(RATE)])], "bert": [speech, speech[: RATE // 2]]}
    waveforms["carl"] = [np.zeros(RATE)]
    rows = []
    for speaker, recordings in waveforms.items():
        for number, waveform in enumerate(recordings):
            path = tmp_path / f"{speaker}{number}.wav"
            soundfile.write(path, waveform, RATE)
            rows.append({"path": path, "split": "train", "speaker": speaker, "sex": "F" if speaker == "anna" else "M"})
    return shards.prepare(manifest.from_rows(rows), tmp_path / "shards", RATE)


def test_recordings_lie_one_after_another_as_they_are(prepared):
    bank = speech_bank.build(prepared)
    assert len(bank.table) == 4
    for row in bank.table.itertuples():
        expected, _ = soundfile.read(row.path, dtype="int16")
        np.testing.assert_array_equal(bank.pcm[row.first : row.first + row.num_samples], expected)
    firsts = bank.table["first"].to_numpy()
    assert bank.locate(firsts).tolist() == [0, 1, 2, 3]
    assert bank.locate(firsts + bank.table["num_samples"].to_numpy() - 1).tolist() == [0, 1, 2, 3]


def test_voiced_cuts_lie_where_somebody_speaks_and_in_one_recording(prepared):
    bank = speech_bank.build(prepared)
    places = bank.places(RATE // 2, 0.9)
    assert set(places) == {"anna", "bert"}
    anna = bank.table[bank.table["speaker"] == "anna"].iloc[0]
    offsets = places["anna"] - anna["first"]
    assert offsets.min() == 0
    assert RATE * 0.4 <= offsets.max() <= RATE * 0.6
    everywhere = bank.places(RATE // 2, 0.0)
    assert set(everywhere) == {"anna", "bert", "carl"}
    for positions in everywhere.values():
        rows = bank.locate(positions)
        ends = bank.table["first"].to_numpy()[rows] + bank.table["num_samples"].to_numpy()[rows]
        assert (positions + RATE // 2 <= ends).all()
    # The shorter of Bert's recordings has room for one cut only.
    assert (bank.locate(everywhere["bert"]) == bank.table.index[bank.table["num_samples"] == RATE // 2][0]).sum() == 1


def test_the_bank_is_found_again_and_damage_is_named(prepared):
    speech_bank.build(prepared)
    path = prepared.folder / "bank.pcm"
    before = path.stat().st_mtime_ns
    speech_bank.build(prepared)
    assert path.stat().st_mtime_ns == before
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="bank.pcm is damaged"):
        speech_bank.build(prepared)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off"])
def test_a_damaged_note_of_the_bank_is_one_line(prepared, content):
    speech_bank.build(prepared)
    (prepared.folder / "bank.npz").write_bytes(content)
    with pytest.raises(UserError, match="bank.pcm is damaged"):
        speech_bank.build(prepared)


def test_sexes_are_those_of_the_speakers(prepared):
    assert speech_bank.sexes(speech_bank.build(prepared), ["bert", "anna"]).tolist() == ["M", "F"]


def test_a_real_recording_has_pauses(real_data, tmp_path):
    path = next((real_data / "librispeech").rglob("*.flac"))
    rows = manifest.from_rows([{"path": path, "split": "train", "speaker": "a"}])
    bank = speech_bank.build(shards.prepare(rows, tmp_path, RATE))
    assert 0.5 < bank.active[-1] / (len(bank.active) - 1) < 0.99
