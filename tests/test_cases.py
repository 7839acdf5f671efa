"""Small inputs that went wrong once, built by a script that lies beside the real recordings; each says what should come out."""

import json
import unicodedata

import numpy as np
import pytest

from common import audio
from common.cli import app
from generation import data as generation_data
from generation.config import VARIANTS as GENERATION_VARIANTS
from kws import data, export, predict, train
from kws.config import Config


def load(root, shards_dir, **options):
    return data.load_corpus(Config(corpus="folder", data_dir=str(root), **options), shards_dir)


def run(module, *arguments):
    return app.run(module.main, module.define_flags, list(map(str, arguments)))


def test_lengths_that_headers_do_not_tell(cases):
    for name, seconds in json.loads((cases / "expected.json").read_text())["lengths"].items():
        if name != "unit":
            waveform, rate = audio.read(cases / "lengths" / name)
            assert abs(len(waveform) / rate - seconds) < 0.1, name


def test_splits_named_as_other_toolkits_name_them(cases, shards_dir):
    corpus = load(cases / "split_names", shards_dir, noise_probability=0.5)
    assert corpus.config.words == ("no", "stop", "yes")
    assert corpus.manifest["split"].value_counts().to_dict() == {"train": 60, "validation": 18, "test": 18}
    assert len(corpus.noise)


def test_a_folder_that_was_on_a_mac(cases, run_dir, shards_dir, capsys):
    assert run(predict, f"--run_dir={run_dir}", cases / "from_a_mac" / "clips") == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 3 and "._" not in shown.out + shown.err
    config = GENERATION_VARIANTS["tiny"]
    config = type(config)(**{**vars(config), "corpus": "folder", "data_dir": str(cases / "from_a_mac" / "music")})
    assert len(generation_data.load_corpus(config, shards_dir).manifest) == 8


def test_links_to_folders_elsewhere(cases, shards_dir):
    assert load(cases / "links" / "words", shards_dir).manifest["label"].value_counts().to_dict() == {
        "yes": 30,
        "no": 30,
        "stop": 30,
    }


def test_names_of_other_forms(cases, shards_dir):
    words = tuple(unicodedata.normalize("NFC", word) for word in ("adiós", "mañana", "sí"))
    assert len(load(cases / "accents", shards_dir, words=words).manifest) == 60
    corpus = load(cases / "latin1", shards_dir)
    assert len(corpus.manifest) == 36
    assert len(data.prepare_split(corpus, "train").shards.rejected) == 0


@pytest.mark.slow
def test_words_with_dollar_signs_are_trained_drawn_and_exported(cases, tmp_path, shards_dir):
    flags = ["--variant=tiny", "--corpus=folder", f"--data_dir={cases / 'dollar_words'}", "--epochs=1"]
    folder = tmp_path / "ca$$h"
    assert run(train, *flags, f"--run_dir={folder}", f"--shards_dir={shards_dir}") == 0
    assert {path.name for path in folder.glob("*.png")} >= {"history.png", "test_confusion.png"}
    assert run(export, f"--run_dir={folder}", f"--shards_dir={shards_dir}", "--formats=litert") == 0


def test_sides_that_cancel_are_answered_as_the_one_side(cases, run_dir, capsys):
    assert run(predict, f"--run_dir={run_dir}", "--output_format=json", cases / "antiphase") == 0
    rows = {row["path"].rpartition("/")[2]: row for row in json.loads(capsys.readouterr().out)}
    for path in sorted((cases / "antiphase").glob("cancels_*.wav")):
        mono = audio.read(path, mono=False)[0][:, 0]
        audio.write(cases / "mono.wav", mono, 16000)
        assert run(predict, f"--run_dir={run_dir}", "--output_format=json", cases / "mono.wav") == 0
        expected = json.loads(capsys.readouterr().out)[0]
        np.testing.assert_allclose(rows[path.name]["probability"], expected["probability"], atol=1e-4)
        assert rows[path.name]["word"] == expected["word"]
