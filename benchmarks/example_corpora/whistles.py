"""A corpus of whistled "words", quick to make and to learn."""

import numpy as np
import soundfile

RATE = 16000
PITCHES_HZ = {"low": (300, 300), "high": (1500, 1500), "rising": (300, 2500)}


def whistle(word, rng, seconds=0.5, rate=RATE):
    """Sing a word: a tone of its pitch, somewhat off, with a little noise."""
    begin, end = np.array(PITCHES_HZ[word]) * rng.uniform(0.95, 1.05)
    pitch_hz = np.linspace(begin, end, int(seconds * rate))
    tone = np.sin(2 * np.pi * np.cumsum(pitch_hz) / rate) * np.hanning(len(pitch_hz))
    return (rng.uniform(0.1, 0.5) * tone + rng.normal(0, 0.003, len(pitch_hz))).astype(np.float32)


def write_words(root, words=tuple(PITCHES_HZ), num_clips=24, seed=0):
    rng = np.random.default_rng(seed)
    for word in words:
        for number in range(num_clips):
            path = root / word / f"speaker{number % 8}_nohash_{number // 8}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, whistle(word, rng), RATE)
    return root
