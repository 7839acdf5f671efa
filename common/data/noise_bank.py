"""Noise clips in memory, for mixing into training clips."""

from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from common import audio
from common.corpora import noise
from common.data import shards
from common.data.shards import Shards


def build(
    rows: pd.DataFrame,
    shards_dir: str | Path,
    sample_rate: int,
    clip_seconds: float,
    *,
    max_clips: int,
    max_rejected: float,
    speeds: tuple[float, ...] = (),
) -> tf.Tensor | None:
    """Decode noise into clips.

    Args:
        rows: Noise recordings with their durations; may be empty.
        shards_dir: Folder of decoded recordings.
        sample_rate: Sample rate in Hz.
        clip_seconds: Length of a clip.
        max_clips: Largest number of clips; if there are more, a fixed random subset is used.
        max_rejected: Tolerated fraction of unreadable recordings.
        speeds: Speed factors, by resampling; each recording is used at every speed. Empty for the original speed only.

    Returns:
        Waveforms `(clips, num_samples)` float32; None without recordings.

    Raises:
        UserError: Too many recordings cannot be read.
    """
    if rows.empty:
        return None
    if not speeds:
        rows = noise.excerpts(rows, clip_seconds)
        rows = rows.sample(min(len(rows), max_clips), random_state=0)
    decoded = shards.prepare(rows, shards_dir, sample_rate, max_rejected=max_rejected, description="preparing noise")
    num_samples = round(clip_seconds * sample_rate)
    if speeds:
        return _at_speeds(decoded, speeds, num_samples, max_clips)
    return tf.concat([waveforms for waveforms, _ in shards.read(decoded, num_samples, 256)], axis=0)


def _at_speeds(decoded: Shards, speeds: tuple[float, ...], num_samples: int, max_clips: int) -> tf.Tensor:
    clips = []
    for _, pcm in shards.recordings(decoded):
        for speed in speeds:
            waveform = audio.resample(audio.from_pcm16(pcm), round(speed * decoded.sample_rate), decoded.sample_rate)
            number = max(1, len(waveform) // num_samples)
            clips.extend(audio.fit_length(waveform, number * num_samples).reshape(number, num_samples))
    order = np.random.default_rng(0).permutation(len(clips))[:max_clips]
    return tf.constant(np.stack([clips[index] for index in order]))
