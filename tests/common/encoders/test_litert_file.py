"""LiteRT files of every form that a front end may have, against the same network by hand."""

from concurrent.futures import ThreadPoolExecutor

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from common.encoders import litert_file
from common.encoders.litert_file import FrontEnd
from tests.errors import refused
from tests.litert_files import WINDOW, classify, pooled_by_hand, quantized, scores_by_hand, write_litert

POOLED = "pool/Mean"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_litert(tmp_path_factory.mktemp("litert") / "front_end.tflite")


def noise(rng, *shape):
    return rng.normal(0, 0.5, shape).astype(np.float32)


def test_the_default_is_the_first_output(file, rng):
    clips = noise(rng, 3, WINDOW)
    embed = FrontEnd(file, "", WINDOW)
    assert (embed.window, embed.starts, embed.size) == (WINDOW, [0], 3)
    np.testing.assert_allclose(embed(clips), [scores_by_hand(clip) for clip in clips], atol=1e-6)


def test_a_tensor_is_found_by_its_name_or_how_that_ends(file, rng):
    clips = noise(rng, 2, WINDOW)
    for name in (POOLED, f"network/{POOLED}"):
        embed = FrontEnd(file, name, WINDOW)
        assert embed.name == f"network/{POOLED}"
        np.testing.assert_allclose(embed(clips), [pooled_by_hand(clip) for clip in clips], atol=1e-6)


@pytest.mark.parametrize(
    ("num_samples", "starts"),
    [(401, [0, 1]), (800, [0, 400]), (1000, [0, 300, 600]), (2000, [0, 400, 800, 1200, 1600])],
)
def test_a_longer_clip_is_the_mean_over_windows_that_cover_it(num_samples, starts, file, rng):
    clip = noise(rng, num_samples)
    embed = FrontEnd(file, POOLED, num_samples)
    assert embed.starts == starts
    expected = np.mean([pooled_by_hand(clip[start : start + WINDOW]) for start in starts], axis=0)
    np.testing.assert_allclose(embed(clip[np.newaxis])[0], expected, atol=1e-6)


def test_a_shorter_clip_is_padded_with_zeros(file, rng):
    clip = noise(rng, 250)
    expected = pooled_by_hand(np.pad(clip, (0, WINDOW - 250)))
    np.testing.assert_allclose(FrontEnd(file, POOLED, 250)(clip[np.newaxis])[0], expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(WINDOW,), (None,), (1, None), (None, WINDOW)])
def test_other_forms_of_the_input(shape, rng, tmp_path):
    """A file with a variable number of samples sees the whole clip at once."""
    file = write_litert(tmp_path / "other.tflite", shapes=(shape,))
    clips = noise(rng, 2, 3 * WINDOW)
    embed = FrontEnd(file, POOLED, 3 * WINDOW)
    assert embed.window == (3 * WINDOW if shape[-1] is None else WINDOW)
    np.testing.assert_allclose(embed(clips), [pooled_by_hand(clip) for clip in clips], atol=1e-6)


def test_frames_of_an_output_are_averaged(rng, tmp_path):
    file = write_litert(tmp_path / "frames.tflite", lambda waveform: 2 * tf.reshape(waveform, (1, -1, 8)))
    clip = noise(rng, WINDOW)
    np.testing.assert_allclose(
        FrontEnd(file, "", WINDOW)(clip[np.newaxis])[0], 2 * clip.reshape(-1, 8).mean(axis=0), atol=1e-6
    )


def test_quantized_values_become_real_numbers(rng, tmp_path):
    file = write_litert(tmp_path / "quantized.tflite", **quantized(inference_output_type=tf.int8))
    details = Interpreter(str(file)).get_output_details()[0]
    assert details["dtype"] == np.int8 and details["quantization"][0] > 0
    clips = (0.2 * noise(rng, 4, WINDOW)).astype(np.float32)
    np.testing.assert_allclose(FrontEnd(file, "", WINDOW)(clips), [scores_by_hand(clip) for clip in clips], atol=0.03)
    pooled = FrontEnd(file, POOLED, WINDOW)(clips)
    np.testing.assert_allclose(pooled, [pooled_by_hand(clip) for clip in clips], atol=0.03)
    assert np.ptp(pooled) > 0.1


def write_with_memory(path):
    """Write a file whose only operator keeps a state from one run to the next, as TensorFlow's converter makes none."""

    def tensor(name, shape, values=None, **options):
        model.buffers.append(schema.BufferT(data=None if values is None else np.frombuffer(values.tobytes(), np.uint8)))
        place = len(model.buffers) - 1
        graph.tensors.append(schema.TensorT(name=name, shape=shape, buffer=place, **options))

    model, graph = schema.ModelT(version=3, buffers=[schema.BufferT()]), schema.SubGraphT(tensors=[], name="main")
    tensor("waveform", [1, WINDOW])
    tensor("features", [2, WINDOW], np.full((2, WINDOW), 0.1, np.float32))
    tensor("times", [2, 3], np.ones((2, 3), np.float32))
    tensor("state", [1, 6], isVariable=True)
    tensor("outputs", [1, 2])
    options = schema.SVDFOptionsT(rank=1)
    operator = schema.BuiltinOperator.SVDF
    step = schema.OperatorT(
        inputs=[0, 1, 2, -1, 3],
        outputs=[4],
        builtinOptionsType=schema.BuiltinOptions.SVDFOptions,
        builtinOptions=options,
    )
    graph.operators, graph.inputs, graph.outputs = [step], [0], [4]
    model.operatorCodes = [schema.OperatorCodeT(builtinCode=operator, deprecatedBuiltinCode=operator)]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def test_a_network_with_memory_starts_afresh_for_every_window(rng, tmp_path):
    embed = FrontEnd(write_with_memory(tmp_path / "memory.tflite"), "", 2 * WINDOW)
    clips = noise(rng, 3, 2 * WINDOW)
    expected = np.repeat(0.1 * clips.sum(axis=1, keepdims=True) / 2, 2, axis=1)
    np.testing.assert_allclose(embed(clips), expected, atol=1e-4)


def test_a_batch_of_nothing(file):
    assert FrontEnd(file, POOLED, WINDOW)(np.zeros((0, WINDOW), np.float32)).shape == (0, 6)


def test_several_threads_may_call_at_once(file, rng):
    clips = noise(rng, 40, WINDOW)
    embed = FrontEnd(file, POOLED, WINDOW)
    expected = np.stack([pooled_by_hand(clip) for clip in clips])
    with ThreadPoolExecutor(8) as threads:
        for embeddings in threads.map(embed, [clips] * 40):
            np.testing.assert_allclose(embeddings, expected, atol=1e-6)


def test_the_cut_file_is_an_ordinary_one_without_what_follows(file, rng):
    content, _ = litert_file.cut(file, POOLED, WINDOW)
    assert len(content) < file.stat().st_size
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    clip = noise(rng, 1, WINDOW)
    interpreter.set_tensor(source["index"], clip)
    interpreter.invoke()
    np.testing.assert_allclose(interpreter.get_tensor(target["index"])[0], pooled_by_hand(clip[0]), atol=1e-6)
    whole = schema.ModelT.InitFromPackedBuf(file.read_bytes()).subgraphs[0].operators
    assert len(schema.ModelT.InitFromPackedBuf(content).subgraphs[0].operators) < len(whole)


@pytest.mark.recordings
@pytest.mark.parametrize("num_samples", [10_000, 15_600, 16_000, 80_000])
def test_yamnet_is_as_in_an_interpreter_that_keeps_all_tensors(num_samples, real_data, rng):
    file = real_data / "yamnet" / "yamnet.tflite"
    if not file.is_file():
        pytest.skip(f"no YAMNet at {file}")
    embed = FrontEnd(file, "global_average_pooling2d/Mean", num_samples)
    assert (embed.window, embed.size) == (15_600, 1024)
    clips = noise(rng, 2, num_samples) * np.hanning(num_samples).astype(np.float32)
    interpreter = Interpreter(str(file), experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (index,) = (one["index"] for one in interpreter.get_tensor_details() if one["name"].endswith("pooling2d/Mean"))
    for clip, embedding in zip(clips, embed(clips), strict=True):
        kept = []
        for start in embed.starts:
            window = clip[start : start + 15_600]
            interpreter.set_tensor(source["index"], np.pad(window, (0, 15_600 - len(window)))[np.newaxis])
            interpreter.invoke()
            kept.append(interpreter.get_tensor(index)[0])
        assert np.max(kept) > 0.5
        np.testing.assert_allclose(embedding, np.mean(kept, axis=0), atol=1e-5)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda whole: b"", "is not a LiteRT file"),
        (lambda whole: b"RIFF" + whole[:4] + b"WAVE", "is not a LiteRT file"),
        (lambda whole: whole[: len(whole) // 2], "is damaged; copy it again"),
        (lambda whole: whole[:8], "is damaged; copy it again"),
        (lambda whole: whole[:8] + bytes(200) + whole[208:], "is damaged; copy it again"),
    ],
)
def test_another_or_a_damaged_file_is_refused(content, expected, file, tmp_path):
    (tmp_path / "other.tflite").write_bytes(content(file.read_bytes()))
    with refused(f"--embedding: .*other.tflite {expected}"):
        FrontEnd(tmp_path / "other.tflite", "", WINDOW)


def test_a_missing_file_is_refused(tmp_path):
    with refused("--embedding: cannot read .*no.tflite"):
        litert_file.cut(tmp_path / "no.tflite", "", WINDOW)


@pytest.mark.parametrize(
    ("compute", "shapes", "dtype", "expected"),
    [
        (lambda one, other: one + other, [(1, 9), (1, 9)], tf.float32, r"takes float32 \(1, 9\), float32 \(1, 9\);"),
        (
            lambda picture: picture[..., 0] * 2,
            [(1, 9, 9)],
            tf.float32,
            r"takes float32 \(1, 9, 9\); expected one float32",
        ),
        (lambda clips: clips * 2, [(4, 9)], tf.float32, r"takes float32 \(4, 9\)"),
        (lambda samples: samples * 2, [(1, 9)], tf.int32, r"takes int32 \(1, 9\)"),
        (lambda value: value * 2, [()], tf.float32, r"takes float32 \(\)"),
    ],
)
def test_another_input_than_a_waveform_is_refused(compute, shapes, dtype, expected, tmp_path):
    with refused(expected):
        litert_file.cut(write_litert(tmp_path / "other.tflite", compute, shapes, dtype), "", WINDOW)


def test_an_input_of_integers_is_refused(tmp_path):
    file = write_litert(tmp_path / "int8.tflite", **quantized(inference_input_type=tf.int8))
    with refused(r"takes int8 \(1, 400\); expected one float32 waveform"):
        litert_file.cut(file, "", WINDOW)


def test_a_tensor_that_is_not_there_is_refused_with_names_like_it(file):
    with refused(
        r'--embedding_tensor: .* computes no tensor "pool/Maen"; give one of its names, such as network/pool/Mean'
    ):
        litert_file.cut(file, "pool/Maen", WINDOW)


def test_a_name_of_several_tensors_is_refused(tmp_path):
    def halves(waveform):
        return tf.exp(waveform, name="left/Exp") + tf.exp(waveform[:, ::-1], name="right/Exp")

    file = write_litert(tmp_path / "halves.tflite", halves)
    with refused('computes several tensors "Exp"; give one of its names, such as (left|right)/Exp, (left|right)/Exp'):
        litert_file.cut(file, "Exp", WINDOW)
    assert litert_file.cut(file, "left/Exp", WINDOW)[1] == "left/Exp"


def test_classes_and_shapes_are_no_embedding(tmp_path):
    file = write_litert(tmp_path / "class.tflite", lambda waveform: tf.argmax(classify(waveform), axis=-1))
    with refused("is int64 .*; expected float values"):
        litert_file.cut(file, "", WINDOW)


def test_a_tensor_without_the_waveform_is_refused(file, tmp_path):
    """The converter makes constants of such tensors, so the input is exchanged here."""
    model = schema.ModelT.InitFromPackedBuf(file.read_bytes())
    graph = model.subgraphs[0]
    other = schema.TensorT()
    other.name, other.shape, other.type = b"other", np.array([1, WINDOW], np.int32), schema.TensorType.FLOAT32
    graph.tensors.append(other)
    graph.inputs, model.signatureDefs = [len(graph.tensors) - 1], None
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "other.tflite").write_bytes(bytes(builder.Output()))
    with refused("does not depend on the waveform"):
        litert_file.cut(tmp_path / "other.tflite", POOLED, WINDOW)


def test_operators_that_litert_does_not_have_are_refused(tmp_path):
    def compute(waveform):
        return tf.linalg.det(tf.reshape(waveform, (1, 20, 20)))

    file = write_litert(tmp_path / "custom.tflite", compute, allow_custom_ops=True)
    with refused("--embedding: LiteRT cannot run .*custom.tflite: .*MatrixDeterminant"):
        FrontEnd(file, "", WINDOW)


def test_a_clip_that_a_variable_file_cannot_take_is_refused(tmp_path):
    file = write_litert(tmp_path / "variable.tflite", shapes=((None,),))
    with refused("--embedding: .*variable.tflite"):
        FrontEnd(file, "", WINDOW + 7)
