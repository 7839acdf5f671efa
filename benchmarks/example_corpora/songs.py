"""Songs that a separator learns in seconds: a gliding voice of harmonics over bursts of noise and a low chord."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
SPLITS = {"train": 5, "validation": 2, "test": 2}


def voice(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Sing: harmonics of a wavering pitch between 500 and 900 Hz."""
    times = np.arange(round(seconds * RATE)) / RATE
    pitch = rng.uniform(500, 900) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.3, 1) * times + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return 0.1 * sum(np.sin(number * phase) / number for number in range(1, 4)).astype(np.float32)


def drums(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Hit something four times a second."""
    num_samples = round(seconds * RATE)
    decay = np.exp(-(np.arange(num_samples) % (RATE // 4)) / (0.03 * RATE))
    return (0.15 * decay * rng.normal(size=num_samples)).astype(np.float32)


def chord(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Hold a low chord."""
    times = np.arange(round(seconds * RATE)) / RATE
    root = rng.uniform(100, 150)
    return 0.05 * sum(np.sin(2 * np.pi * root * ratio * times) for ratio in (1, 1.25, 1.5)).astype(np.float32)


STEMS = {"vocals": voice, "drums": drums, "other": chord}


def write_song(folder: Path, seconds: float, rng: np.random.Generator, channels: int = 1) -> Path:
    """Write a track's stems and their mixture as 16-bit WAV; in stereo each stem has a side of its own."""
    folder.mkdir(parents=True)
    sounds = {}
    for stem, make in STEMS.items():
        sound = make(seconds, rng)[:, None]
        sounds[stem] = sound if channels == 1 else sound * rng.uniform(0.2, 1, channels)
    sounds["mixture"] = sum(sounds.values())
    for stem, sound in sounds.items():
        soundfile.write(folder / f"{stem}.wav", sound, RATE)
    return folder


def write_songs(root: Path, seconds: float = 3.0, channels: int = 1, seed: int = 0) -> Path:
    """Write songs below folders of splits."""
    rng = np.random.default_rng(seed)
    for split, count in SPLITS.items():
        for number in range(count):
            write_song(root / split / f"song {number}", seconds, rng, channels)
    return root
