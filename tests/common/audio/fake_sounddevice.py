"""Stands in for the package sounddevice: a microphone that hears what a test gives it."""

import types

import numpy as np


def fake_sounddevice(heard, *, rate=44100, has_device=True, is_busy=False, overflows=False):
    """Make a module with the part of sounddevice that `common.audio.microphone` uses.

    Args:
        heard: Returns what the next stream hears, shape `(samples,)`; silence follows.
        rate: Rate of the device in Hz.
        has_device: Whether there is an input device.
        is_busy: Whether it cannot be opened.
        overflows: Whether samples are lost.
    """

    class PortAudioError(Exception):
        pass

    class InputStream:
        def __init__(self, samplerate, channels, dtype):
            assert (samplerate, channels, dtype) == (rate, 1, "float32")
            if is_busy:
                raise PortAudioError("Device unavailable")
            self.waveform, self.position = np.asarray(heard(), np.float32), 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.waveform = None

        def read(self, frames):
            block = self.waveform[self.position : self.position + frames]
            self.position += frames
            return np.pad(block, (0, frames - len(block)))[:, np.newaxis], overflows

    def query_devices(kind):
        assert kind == "input"
        if not has_device:
            raise PortAudioError("Error querying device -1")
        return {"name": "fake microphone", "default_samplerate": float(rate)}

    return types.SimpleNamespace(PortAudioError=PortAudioError, InputStream=InputStream, query_devices=query_devices)
