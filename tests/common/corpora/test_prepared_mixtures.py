import pytest
import soundfile

from common.corpora import manifest, prepared_mixtures
from common.errors import UserError
from tests.errors import refused

HEADER = "File,Split,Speakers,Speakers Sex\n"


def write(folder, text):
    soundfile.write(folder / "a.wav", [0.0] * 16000, 16000)
    (folder / "metadata.csv").write_text(text)
    return folder


def test_labels_say_how_many_of_each_sex():
    rows = manifest.from_rows(
        {"path": str(number), "label": prepared_mixtures.label(sexes)}
        for number, sexes in enumerate(("MFM", "", "F", "??"))
    )
    assert rows["label"].tolist() == ["FMM", "-", "F", "??"]
    assert prepared_mixtures.truth(rows).tolist() == [[1, 2], [0, 0], [1, 0], [0, 2]]


def test_a_table_becomes_a_manifest(tmp_path):
    table = prepared_mixtures.index(write(tmp_path, HEADER + "a.wav,train,2,MF\nb.wav,test,0,\n"), 1.0)
    assert table[["split", "label"]].to_numpy().tolist() == [["train", "FM"], ["test", "-"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("File,Split\na.wav,train\n", "lacks the columns Speakers, Speakers Sex"),
        (HEADER, "lists no mixtures"),
        (HEADER + "a.wav,train,3,MF\n", "line 2 has 3 speakers of the sexes 'MF'"),
        (HEADER + "a.wav,tarin,1,M\n", "in the split 'tarin'"),
        (HEADER + "a.wav,train,1,?\n", "line 2 has a speaker of unknown sex; use --head=class"),
    ],
)
def test_a_bad_table_is_one_line(text, message, tmp_path):
    with refused(message.replace("?", r"\?")):
        prepared_mixtures.index(write(tmp_path, text), 1.0, sexes_needed=True)


def test_no_table_says_how_to_make_one(tmp_path):
    with pytest.raises(UserError, match="counting.prepare --output_dir"):
        prepared_mixtures.index(tmp_path, 1.0)
