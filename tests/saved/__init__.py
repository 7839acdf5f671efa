"""Small runs as an earlier version trained them, with what it answered: what was saved before still loads.

Made by commit b14392b; `answers` holds what its commands wrote of `recordings`:

  python -m kws.predict --run_dir=tests/saved/kws --output_format=json clip.wav long.wav
  python -m counting.predict --run_dir=tests/saved/counting --output_format=json --nomerge talk.wav
  python -m separation.predict --run_dir=tests/saved/separation --encoding=float song.wav
  python -m generation.generate --run_dir=tests/saved/generation --num_samples=1 --duration=2 --seed=5
"""

from pathlib import Path

import numpy as np
import soundfile

from benchmarks.example_corpora import songs, voices, whistles

RUNS = Path(__file__).parent


def recordings(folder: Path) -> Path:
    """Write the recordings that the answers are of; returns the folder."""
    rng = np.random.default_rng(1)
    words = list(whistles.PITCHES_HZ)
    parts = [np.zeros(4000)]
    for number in range(8):
        parts.append(0.001 * rng.standard_normal(6000 + 1500 * number))
        parts.append(whistles.whistle(words[number % len(words)], rng))
    _write(folder / "long.wav", np.concatenate([*parts, np.zeros(3000)]), whistles.RATE)
    _write(folder / "clip.wav", whistles.whistle(words[0], np.random.default_rng(2)), whistles.RATE)
    rng = np.random.default_rng(3)
    talk, other = voices.buzz(110, 6, rng), voices.buzz(210, 4, rng)
    talk[16000 : 16000 + len(other)] += other
    _write(folder / "talk.wav", talk / 2, voices.RATE)
    rng = np.random.default_rng(4)
    _write(folder / "song.wav", sum(make(2.3, rng) for make in (songs.voice, songs.drums, songs.chord)), songs.RATE)
    return folder


def _write(path: Path, waveform: np.ndarray, sample_rate: int) -> None:
    soundfile.write(path, waveform.astype(np.float32), sample_rate, subtype="FLOAT")
