import numpy as np
import pandas as pd
import pytest
import soundfile

from benchmarks.example_corpora.whistles import RATE, whistle
from common.corpora import clusters
from common.errors import UserError
from tests import checks


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Recordings of ten seconds, each a row of whistles of known kinds a second apart."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("speech")
    said = {}
    for number in range(12):
        words = [("low", "high", "rising")[kind] for kind in rng.integers(3, size=10)]
        path = root / f"part{number % 2}" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.concatenate([whistle(word, rng, seconds=1.0) for word in words]), RATE)
        said[str(path.resolve())] = words
    return root, said


def test_clips_that_sound_alike_have_one_label(recordings):
    root, said = recordings
    table = clusters.index(root, num_clusters=3)
    assert len(table) == 120
    assert set(table["label"]) == {"cluster_00", "cluster_01", "cluster_02"}
    words = np.array([said[row.path][round(row.start)] for row in table.itertuples()])
    # Each cluster is (nearly) all of one word.
    pure = sum(max(np.mean(own == word) for word in set(own)) * len(own) for _, own in words_by(table, words))
    assert pure / len(words) > 0.9
    assert (table.groupby("path")["split"].nunique() == 1).all()


def words_by(table, words):
    return [(label, words[(table["label"] == label).to_numpy()]) for label in set(table["label"])]


def test_the_labels_are_the_same_every_time(recordings):
    first, second = (clusters.index(recordings[0], num_clusters=5)["label"] for _ in range(2))
    assert first.tolist() == second.tolist()


def test_what_cannot_be_clustered_is_one_line(recordings, tmp_path):
    with pytest.raises(UserError, match="too few for 500 clusters"):
        clusters.index(recordings[0], num_clusters=500)
    with pytest.raises(UserError, match="does not exist"):
        clusters.index(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no audio files"):
        clusters.index(tmp_path)


def test_what_is_heard_of_a_recording_is_the_same_in_every_version_of_librosa(tmp_path, rng):
    """Of a soft clip beside loud ones only what is within 80 dB of the loudest counts."""
    clips = [whistle(word, rng, seconds=1.0) for word in ("low", "high", "rising")]
    soundfile.write(tmp_path / "said.wav", np.concatenate([clips[0], 1e-4 * clips[1], clips[2]]), RATE, subtype="FLOAT")
    rows = pd.DataFrame({"start": [0.0, 1.0, 2.0]})
    described = clusters._describe(str(tmp_path / "said.wav"), rows, 1.0)
    assert described.shape == (3, 65)
    checks.check_golden(described, [0.00190667, 13.7538, -99.4987, 60.5454, 0.0263062])
