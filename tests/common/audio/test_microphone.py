import sys

import numpy as np
import pytest

from common.audio import microphone
from tests.common.audio.fake_sounddevice import fake_sounddevice
from tests.errors import refused


@pytest.fixture
def device(monkeypatch):
    """A microphone of 44.1 kHz that hears a sine of 1 kHz."""

    def device(**options):
        fake = fake_sounddevice(lambda: 0.5 * np.sin(2 * np.pi * 1000 * np.arange(10 * 44100) / 44100), **options)
        monkeypatch.setitem(sys.modules, "sounddevice", fake)
        return fake

    return device


def test_it_records_at_the_rate_that_is_asked_for(device):
    device()
    assert microphone.check() == "fake microphone"
    blocks = []
    waveform, is_complete = microphone.record(1.5, 16000, blocks.append)
    assert waveform.shape == (24000,) and waveform.dtype == np.float32 and is_complete
    assert np.abs(np.fft.rfft(waveform)).argmax() == 1500
    assert [len(block) for block in blocks] == [4410] * 15


def test_the_beginning_is_left_out(monkeypatch):
    """The click of the key, and what a device gives first."""
    heard = np.zeros(48000)
    heard[:6000] = 1.0
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice(lambda: heard, rate=48000))
    assert np.abs(microphone.record(0.5, 16000).waveform).max() < 1e-3


def test_lost_samples_are_told(device):
    device(overflows=True)
    assert not microphone.record(0.3, 16000).is_complete


def test_broken_samples_are_within_full_scale(monkeypatch):
    heard = np.tile([np.nan, np.inf, -np.inf, 3e38], 12000)
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice(lambda: heard, rate=16000))
    waveform = microphone.record(0.5, 16000).waveform
    assert np.isfinite(waveform).all() and np.abs(waveform).max() <= 1


def test_the_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with refused(r"pip install 'quartet-audio\[live\]'"):
        microphone.check()


def test_portaudio_is_missing(monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with refused(r"PortAudio library not found; install it, on Debian"):
        microphone.check()


def test_there_is_no_input_device(device):
    device(has_device=False)
    with refused(r"there is no microphone"):
        microphone.check()
    with refused(r"there is no microphone"):
        microphone.record(1.0, 16000)


def test_the_device_is_in_use(device):
    device(is_busy=True)
    with refused(r"cannot record from the microphone: Device unavailable"):
        microphone.record(1.0, 16000)
