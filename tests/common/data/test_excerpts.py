import numpy as np
import pytest
import tensorflow as tf

from common.data import excerpts
from common.data.excerpts import Places


@pytest.fixture
def tracks(tmp_path, rng):
    """Two tracks of two columns and three channels, one of them shorter than a cut."""
    mapped = []
    for length in (300, 40):
        pcm = rng.integers(-9000, 9000, (length, 2, 3)).astype("<i2")
        path = tmp_path / f"{length}.pcm"
        path.write_bytes(pcm.tobytes())
        mapped.append(np.memmap(path, "<i2", "r", shape=pcm.shape))
    return mapped


PLACES = Places(np.array([[0, -1], [1, 0]]), np.array([[123, -1], [5, 290]]))


def test_cuts_are_what_is_in_the_files_and_silence_follows(tracks):
    found = excerpts.read(tracks, PLACES, 50, [0, 1])
    assert found.shape == (2, 2, 50, 3) and found.dtype == np.int16
    np.testing.assert_array_equal(found[0, 0], tracks[0][123:173, 0])
    np.testing.assert_array_equal(found[1, 0, :35], tracks[1][5:, 0])
    np.testing.assert_array_equal(found[1, 1, :10], tracks[0][290:, 1])
    assert not found[0, 1].any() and not found[1, 0, 35:].any() and not found[1, 1, 10:].any()


@pytest.mark.parametrize("anywhere", [False, True])
def test_a_pipeline_reads_the_same(tracks, anywhere):
    places = tf.data.Dataset.from_tensors(tuple(PLACES))
    read = places.map(lambda *places: excerpts.read_tensor(tracks, places, 50, [0, 1], anywhere=anywhere))
    assert read.element_spec.shape == (2, 2, 50, 3)
    np.testing.assert_array_equal(next(iter(read)), excerpts.read(tracks, PLACES, 50, [0, 1]))


def test_draws_in_advance_are_those_of_the_step_and_begin_again():
    def draw(step):
        rng = np.random.default_rng(int(step))
        return rng.random(3), rng.integers(9, size=(2, 2))

    on_the_way = list(excerpts.drawn_batches(draw, 5).take(4).as_numpy_iterator())
    in_advance = list(excerpts.drawn_batches(draw, 5, 3).take(4).as_numpy_iterator())
    assert [step for step, *_ in on_the_way] == [5, 6, 7, 8]
    assert [step for step, *_ in in_advance] == [5, 6, 7, 5]
    for (_, *ours), (_, *theirs) in zip(on_the_way[:3], in_advance, strict=False):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
