"""Four more people's voices: Flite (Carnegie Mellon University, BSD-like licence), a program of most Linux distributions."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from common import audio
from common.errors import UserError

FOLDER = ""
SAMPLE_RATE = 16000
SPEEDS = (0.75, 0.9, 1.0, 1.1, 1.25)
ENDINGS = ("", ".", "?")
_SEXES = {"awb": "M", "kal16": "M", "rms": "M", "slt": "F"}


def voices(language: str) -> dict[str, list[str]]:
    """Return the voices by split: so few that all of them are for training.

    Raises:
        UserError: The language is not English.
    """
    if language.split("-")[0] != "en":
        raise UserError(f'--synthesizers=flite does not speak "{language}"; it speaks en: use espeak for others')
    return {"train": list(_SEXES), "validation": [], "test": []}


def sex(voice: str) -> str:
    """Return `F` or `M`."""
    return _SEXES[voice]


def draw_voice(names: list[str], rng: np.random.Generator) -> str:
    """Draw a voice."""
    return str(rng.choice(names))


def synthesize(text: str, voice: str, speed: float, folder: str | Path = FOLDER) -> np.ndarray:
    """Speak a text.

    Args:
        text: English words, with or without a punctuation mark.
        voice: One of `voices`.
        speed: Rate relative to the usual one, e.g. 0.75 to 1.25.
        folder: Not used.

    Returns:
        The waveform, float32, shape `(samples,)`, at `SAMPLE_RATE`, with pauses around it.

    Raises:
        UserError: The program failed.
    """
    with tempfile.TemporaryDirectory() as workplace:
        path = Path(workplace) / "speech.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={1 / speed:.3f}", "-t", text, "-o", str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode or not path.exists():
            reason = (result.stderr.strip().splitlines() or ["no output"])[-1]
            raise UserError(f'flite cannot speak "{text}": {reason}')
        return audio.read(path, SAMPLE_RATE)[0]


def check_installed() -> None:
    """Check that the program is installed.

    Raises:
        UserError: It is not.
    """
    if shutil.which("flite") is None:
        raise UserError("--synthesizers=flite needs the program flite; install it, e.g. by: apt install flite")
