import json
import shutil

import pytest

from common.corpora import fingerprint, manifest


@pytest.fixture
def corpus(tmp_path):
    for label in ("yes", "no"):
        for number in range(3):
            path = tmp_path / "corpus" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(100 + number))
    return tmp_path / "corpus"


def take(corpus):
    rows = [{"path": path, "split": "train", "label": path.parent.name} for path in sorted(corpus.rglob("*.wav"))]
    # As it is read from a run directory.
    return json.loads(json.dumps(fingerprint.take(manifest.from_rows(rows))))


def test_where_and_when_plays_no_part(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "copy", copy_function=shutil.copy)
    assert take(tmp_path / "copy") == take(corpus)
    assert fingerprint.difference(take(tmp_path / "copy"), take(corpus)) == ""
    assert take(corpus)["recordings"] == {"train": {"no": 3, "yes": 3}}


def test_what_came_and_went_is_told(corpus):
    earlier = take(corpus)
    (corpus / "yes" / "3.wav").touch()
    (corpus / "no" / "0.wav").unlink()
    assert fingerprint.difference(earlier, take(corpus)) == "train no 3, now 2; train yes 3, now 4"
    for number in range(5):
        (corpus / f"word{number}").mkdir()
        (corpus / f"word{number}" / "a.wav").touch()
    assert fingerprint.difference(earlier, take(corpus)).endswith("train word1 0, now 1; and 4 more")


@pytest.mark.parametrize("change", ["size", "name"])
def test_as_many_but_others_are_told(change, corpus):
    earlier, path = take(corpus), corpus / "yes" / "1.wav"
    if change == "size":
        path.write_bytes(bytes(99))
    else:
        path.rename(path.with_name("caf\udce9.wav"))
    assert fingerprint.difference(earlier, take(corpus)) == "same number of recordings, but different files or sizes"


@pytest.mark.parametrize(
    "damaged", [None, [], {}, {"digest": 1, "recordings": 3}, {"digest": 1, "recordings": {"a": 3}}]
)
def test_a_damaged_one_says_nothing(damaged, corpus):
    assert fingerprint.difference(damaged, take(corpus)) == ""


def test_a_corpus_without_recordings_has_one():
    assert fingerprint.take(manifest.from_rows([]))["recordings"] == {}
