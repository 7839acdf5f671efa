"""Music that a generator learns in seconds: beats of noise and a chord that changes with them."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 22_050
SPLITS = {"train": 4, "validation": 2, "test": 2}


def riff(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Hit a drum at a tempo of its own, and play a note with each beat."""
    num_samples = round(seconds * RATE)
    period = round(RATE * rng.uniform(0.15, 0.3))
    places = np.arange(num_samples)
    decay = np.exp(-(places % period) / (0.05 * RATE))
    pitches = rng.choice([110.0, 131.0, 147.0, 165.0], num_samples // period + 1)[places // period]
    phase = 2 * np.pi * np.cumsum(pitches) / RATE
    note = sum(np.sin(number * phase) / number for number in range(1, 12))
    return (0.1 * decay * rng.normal(size=num_samples) + 0.1 * note).astype(np.float32)


def write_riffs(root: Path, seconds: float = 5.0, seed: int = 0) -> Path:
    """Write tracks of one genre below folders of splits."""
    rng = np.random.default_rng(seed)
    for split, count in SPLITS.items():
        for number in range(count):
            path = root / split / "riff" / f"riff.{number:05d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, riff(seconds, rng), RATE)
    return root
