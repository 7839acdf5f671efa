"""MIR-1K: a singer a side, accompaniment left and voice right."""

import numpy as np
import pytest
import soundfile

from common.corpora import mir1k, tracks
from common.errors import UserError


def _write(root, names):
    root.mkdir(parents=True, exist_ok=True)
    sounds = np.random.default_rng(0).uniform(-0.5, 0.5, (800, 2))
    for name in names:
        soundfile.write(root / f"{name}.wav", sounds, 16000)
    return sounds


def test_singers_stay_together_and_channels_are_stems(tmp_path):
    names = [f"singer{singer}_{song}_01" for singer in range(4) for song in range(3)]
    sounds = _write(tmp_path / "Wavfile", names)
    table = mir1k.index(tmp_path)
    assert len(table) == 24 and set(table["stem"]) == {"vocals", "accompaniment"}
    assert (table.groupby("speaker")["split"].nunique() == 1).all()
    assert set(table["split"]) == {"train", "validation", "test"}
    rows = table[table["track"] == "singer1_2_01"]
    mixture, stems = tracks.read(rows, ("vocals", "accompaniment"), 16000, 1)
    np.testing.assert_allclose(stems[0, :, 0], sounds[:, 1], atol=1e-4)
    np.testing.assert_allclose(stems[1, :, 0], sounds[:, 0], atol=1e-4)
    np.testing.assert_allclose(mixture, stems.sum(axis=0), atol=1e-6)


def test_few_singers_are_all_train_and_no_clips_are_told(tmp_path):
    with pytest.raises(UserError, match="has no clips; expected MIR-1K"):
        mir1k.index(tmp_path)
    _write(tmp_path, ["anna_1_01", "bert_1_01"])
    assert set(mir1k.index(tmp_path)["split"]) == {"train"}


def test_the_pack(real_data):
    table = mir1k.index(real_data / "mir1k")
    assert table["track"].nunique() == 91 and table["speaker"].nunique() == 13
