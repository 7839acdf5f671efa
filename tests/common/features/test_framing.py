import librosa
import numpy as np
import pytest
import tensorflow as tf

from common.errors import UserError
from common.features import framing

FRAMINGS = [(64, 16), (64, 64), (50, 20), (33, 7), (10, 64)]


@pytest.mark.parametrize("samples", [64, 65, 99, 200, 1000])
@pytest.mark.parametrize(("frame_length", "hop_length"), FRAMINGS)
def test_frames_are_those_of_librosa(samples, frame_length, hop_length):
    waveform = np.arange(2 * samples, dtype=np.float32).reshape(2, samples)
    expected = np.swapaxes(librosa.util.frame(waveform, frame_length=frame_length, hop_length=hop_length), 1, 2)
    np.testing.assert_array_equal(framing.frame(tf.constant(waveform), frame_length, hop_length), expected)
    traced = tf.function(
        lambda waveform: framing.frame(waveform, frame_length, hop_length),
        input_signature=[tf.TensorSpec((None, None))],
    )
    np.testing.assert_array_equal(traced(waveform), expected)


@pytest.mark.parametrize("num_frames", [1, 2, 9])
@pytest.mark.parametrize(("frame_length", "hop_length"), FRAMINGS)
def test_frames_are_added_up_as_tensorflow_does(num_frames, frame_length, hop_length, rng):
    frames = rng.normal(size=(2, 3, num_frames, frame_length)).astype(np.float32)
    expected = tf.signal.overlap_and_add(frames, hop_length)
    np.testing.assert_allclose(framing.overlap_and_add(tf.constant(frames), hop_length), expected, atol=1e-6)
    traced = tf.function(
        lambda frames: framing.overlap_and_add(frames, hop_length),
        input_signature=[tf.TensorSpec((None, None, None, frame_length))],
    )
    np.testing.assert_allclose(traced(frames), expected, atol=1e-6)


@pytest.mark.parametrize(("frame_length", "hop_length"), FRAMINGS)
def test_cutting_and_adding_are_each_other_s_gradient(frame_length, hop_length, rng):
    waveform = tf.constant(rng.normal(size=(2, 5 * 64)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(waveform)
        frames = framing.frame(waveform, frame_length, hop_length)
    weights = tf.constant(rng.normal(size=frames.shape).astype(np.float32))
    added = framing.overlap_and_add(weights, hop_length)
    gradient = tape.gradient(frames, waveform, weights)
    length = min(added.shape[-1], gradient.shape[-1])
    np.testing.assert_allclose(gradient[:, :length], added[:, :length], atol=1e-5)
    assert not gradient[:, length:].numpy().any()


def test_sizes_that_are_known_stay_known():
    @tf.function(input_signature=[tf.TensorSpec((None, 3, 7)), tf.TensorSpec((), tf.int32)])
    def part(tensor, start):
        found = framing.cut(tensor, start, 2)
        assert found.shape.as_list() == [None, 3, 2]
        assert framing.cut(found, 0, start, axis=1).shape.as_list() == [None, None, 2]
        return found

    np.testing.assert_array_equal(part(tf.reshape(tf.range(21.0), (1, 3, 7)), 4)[0, 1], [11, 12])


def test_a_waveform_shorter_than_a_frame_is_refused():
    with pytest.raises(UserError, match="10 samples is shorter than one frame of 16"):
        framing.frame(tf.zeros((2, 10)), 16, 4)
