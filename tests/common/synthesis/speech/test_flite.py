import shutil

import numpy as np
import pytest

from common.errors import UserError
from common.synthesis.speech import flite


def test_only_english_is_spoken_and_all_voices_train():
    voices = flite.voices("en-us")
    assert [flite.sex(voice) for voice in voices["train"]].count("F") == 1
    assert not voices["validation"] + voices["test"]
    with pytest.raises(UserError, match='does not speak "es"'):
        flite.voices("es")


def test_a_missing_program_is_told(monkeypatch):
    monkeypatch.setattr(flite.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="needs the program flite"):
        flite.check_installed()


@pytest.mark.skipif(shutil.which("flite") is None, reason="the program flite is not installed")
def test_every_voice_speaks_and_slower_is_longer():
    for voice in flite.voices("en")["train"]:
        slow, fast = (flite.synthesize("seven", voice, speed) for speed in (0.75, 1.25))
        assert slow.ndim == 1
        assert len(slow) > 1.2 * len(fast)
        assert np.abs(slow).max() > 0.05
