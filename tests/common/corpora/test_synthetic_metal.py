import soundfile

from common.corpora import synthetic_metal, synthetic_songs
from common.synthesis.music.score import Settings


def test_songs_are_the_mixtures_of_metal(tmp_path):
    table = synthetic_metal.index(tmp_path, num_songs=3, seconds=2.0, sample_rate=8000)
    whole = synthetic_songs.make(Settings(tmp_path, "metal", "en", 2.0, 8000, 1, 0), 3)
    assert table["path"].tolist() == whole.loc[whole["stem"] == "mixture", "path"].tolist()
    assert table["label"].tolist() == ["metal"] * 3 and set(table["split"]) == {"train", "validation", "test"}
    assert soundfile.info(table["path"].iloc[0]).frames == 16000
