import numpy as np
import pytest

from common.errors import UserError
from common.export import excerpts


def never():
    raise AssertionError("the corpus is read")


def chosen(folder, read=never, corpus=None, data_dir=None, split="test"):
    return excerpts.choose(folder, (8, 2), read, corpus=corpus, data_dir=data_dir, split=split)


def test_a_run_keeps_excerpts_to_the_precision_of_16_bits(tmp_path, rng):
    waveforms = rng.uniform(-0.9, 0.9, (3, 8, 2)).astype(np.float32)
    excerpts.save(tmp_path, waveforms)
    kept, source = chosen(tmp_path)
    assert source == "run" and kept.dtype == np.float32
    np.testing.assert_allclose(kept, waveforms, atol=2**-16)
    content = (tmp_path / excerpts.FILE).read_bytes()
    excerpts.save(tmp_path, waveforms)
    assert (tmp_path / excerpts.FILE).read_bytes() == content  # no times in it


@pytest.mark.parametrize("named", [{"corpus": "folder"}, {"data_dir": "/there"}, {"split": "all"}])
def test_a_named_corpus_is_read_instead(tmp_path, named):
    excerpts.save(tmp_path, np.zeros((3, 8, 2), np.float32))
    waveforms, source = chosen(tmp_path, lambda: np.ones((2, 8, 2)), **named)
    assert source == "corpus" and waveforms.all()


def test_a_run_of_an_earlier_version_reads_the_corpus(tmp_path):
    assert chosen(tmp_path, lambda: np.ones((2, 8, 2)))[1] == "corpus"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        {"pcm": np.zeros((3, 8, 1), np.int16)},
        {"pcm": np.zeros((0, 8, 2), np.int16)},
        {"pcm": np.zeros((3, 8, 2))},
        {"other": np.zeros((3, 8, 2), np.int16)},
        {"pcm": np.array([{}], object)},
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, content):
    if isinstance(content, dict):
        np.savez(tmp_path / excerpts.FILE, **content)
    else:
        (tmp_path / excerpts.FILE).write_bytes(content)
    with pytest.raises(UserError, match=r"excerpts\.npz: .*; delete it, then the export reads the corpus"):
        chosen(tmp_path)
