"""Record from the microphone, with the optional package sounddevice, which uses PortAudio."""

import math
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import numpy as np

from common import audio
from common.errors import UserError, install_hint

BLOCK_SECONDS = 0.1
# Left out at the start: the click of the key, and what a device gives while it is switched on.
_SETTLING_SECONDS = 0.2


class Recording(NamedTuple):
    """What a microphone heard.

    Attributes:
        waveform: Shape `(samples,)`, float32 in [-1, 1].
        is_complete: False if the computer was too slow to take all samples.
    """

    waveform: np.ndarray
    is_complete: bool


def check() -> str:
    """Return the name of the microphone: the system's default input device.

    Raises:
        UserError: sounddevice or PortAudio is not installed, or there is no input device.
    """
    return str(_device(_sounddevice())["name"])


def record(seconds: float, sample_rate: int, show: Callable[[np.ndarray], None] | None = None) -> Recording:
    """Record from the microphone in mono.

    The device records at its own rate, which every device supports; the waveform is resampled.

    Args:
        seconds: Length of the recording.
        sample_rate: Rate of the waveform in Hz.
        show: Called with each block of a tenth of a second, shape `(samples,)`, for example to show its level.

    Raises:
        UserError: As `check`, or the device fails or is in use.
    """
    sounddevice = _sounddevice()
    device_rate = round(float(_device(sounddevice)["default_samplerate"]))
    block = round(BLOCK_SECONDS * device_rate)
    blocks, is_complete = [], True
    try:
        with sounddevice.InputStream(samplerate=device_rate, channels=1, dtype="float32") as stream:
            stream.read(round(_SETTLING_SECONDS * device_rate))
            for _ in range(math.ceil(seconds / BLOCK_SECONDS)):
                samples, overflowed = stream.read(block)
                is_complete &= not overflowed
                blocks.append(np.array(samples[:, 0], np.float32))
                if show:
                    show(blocks[-1])
    except (sounddevice.PortAudioError, ValueError) as error:
        raise UserError(
            f"cannot record from the microphone: {error}; check that it is connected and that no other program uses it"
        ) from error
    waveform = np.clip(np.nan_to_num(np.concatenate(blocks)[: round(seconds * device_rate)]), -1, 1)
    return Recording(audio.resample(waveform, device_rate, sample_rate), is_complete)


def _sounddevice() -> ModuleType:
    """Return the package sounddevice; it is imported here since few commands need it."""
    try:
        import sounddevice
    except ImportError as error:
        raise UserError(f"the microphone needs sounddevice, which is not installed; {install_hint('live')}") from error
    except OSError as error:
        raise UserError(
            f"the microphone needs PortAudio: {error}; install it, on Debian and Ubuntu with: sudo apt install libportaudio2"
        ) from error
    return sounddevice


def _device(sounddevice: ModuleType) -> dict:
    """Return what PortAudio knows of the default input device."""
    try:
        return sounddevice.query_devices(kind="input")
    except (sounddevice.PortAudioError, ValueError) as error:
        raise UserError(
            "there is no microphone; connect one and select it as the input in the settings of the system"
        ) from error
