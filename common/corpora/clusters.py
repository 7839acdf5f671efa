"""Untranscribed speech, cut into clips with pseudo-labels from clustering, for pretraining.

A network is pretrained on these labels, then fine-tuned on a few labelled words by
`--model=embedding --embedding=RUN --fine_tune`. The labels are k-means clusters of MFCC, like the first targets of
HuBERT (Hsu et al., 2021, arXiv 2106.07447), but of whole clips instead of frames.
"""

from pathlib import Path

import librosa
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from common import audio, progress
from common.corpora import manifest, noise
from common.errors import UserError

FOLDER = "data/clusters"
_SAMPLE_RATE = 16000
_RANGE_DB = 80.0
_SEGMENTS = 5  # per clip, so that a label reflects the order of the sounds


def index(root: str | Path, clip_seconds: float = 1.0, num_clusters: int = 64, seed: int = 0) -> pd.DataFrame:
    """Cut all recordings below a folder into consecutive clips and label each clip with its cluster.

    Every recording is read, at a few hundred times real time. The mean MFCC of each recording is subtracted, which
    reduces the influence of level, voice and microphone on the labels.

    Args:
        root: A folder of audio files at any depth.
        clip_seconds: Length of a clip in seconds.
        num_clusters: Number of labels, at least 2.
        seed: Random state of k-means.

    Returns:
        A manifest (`common.corpora.manifest`), split by a hash of the file names; labels are `cluster_00`, ….

    Raises:
        UserError: The folder is missing, has no audio, or has fewer training clips than clusters.
    """
    clips = noise.excerpts(
        noise.measured(manifest.recordings_below(Path(root), "--corpus=clusters"), str(root)), clip_seconds
    )
    described = []
    with progress.bar(len(clips), "computing MFCC", "clip") as meter:
        for path, rows in clips.groupby("path", sort=False):
            described.append(_describe(path, rows, clip_seconds))
            meter.update(len(rows))
    features = np.concatenate(described) if described else np.zeros((0, 1))
    training = (clips["split"] == "train").to_numpy()
    if training.sum() < num_clusters:
        raise UserError(f"{root} has {training.sum()} training clips, too few for {num_clusters} clusters")
    clusters = KMeans(num_clusters, random_state=seed, n_init=1).fit(features[training]).predict(features)
    return clips.assign(label=[f"cluster_{number:02d}" for number in clusters])


def _describe(path: str, rows: pd.DataFrame, clip_seconds: float) -> np.ndarray:
    """Return the mean MFCC of each segment of each clip of a recording, shape (clips, segments * coefficients)."""
    waveform, _ = audio.read(path, _SAMPLE_RATE)
    num_samples = round(clip_seconds * _SAMPLE_RATE)
    starts = (rows["start"] * _SAMPLE_RATE).round().astype(int)
    clips = np.stack([audio.fit_length(waveform[start : start + num_samples], num_samples) for start in starts])
    # librosa instead of `common.audio` features, as in all corpora: processes that synthesize speech need no
    # TensorFlow.
    power = librosa.feature.melspectrogram(y=clips, sr=_SAMPLE_RATE, n_mels=40, n_fft=512, hop_length=160)
    # `top_db` of librosa 0.11 is relative to the loudest of all clips, that of 1.0 to the loudest of each clip. It is
    # applied here, so that the labels do not depend on the version.
    decibels = librosa.power_to_db(power, top_db=None)
    cepstra = librosa.feature.mfcc(S=np.maximum(decibels, decibels.max() - _RANGE_DB), n_mfcc=13)
    cepstra -= cepstra.mean(axis=(0, 2), keepdims=True)
    segments = np.array_split(cepstra, _SEGMENTS, axis=2)
    return np.concatenate([segment.mean(axis=2) for segment in segments], axis=1)
