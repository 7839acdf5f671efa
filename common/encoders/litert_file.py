"""A LiteRT file (`.tflite`) as a fixed front end: waveforms in, one embedding per clip out; without TensorFlow.

The file has one input, a float32 waveform of shape (samples,) or (1, samples). Any tensor that it computes can be the
embedding. The file is cut there: what only later tensors need is left out, so the result is an ordinary LiteRT file
with one output, which runs at full speed anywhere. An interpreter that keeps all tensors is for debugging, and slower.

Example:
    >>> window_starts(1600, 3600)
    [0, 1000, 2000]
    >>> window_starts(1600, 1000)
    [0]
"""

import difflib
import math
import os
import queue
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from common import startup
from common.errors import UserError, reason

# The name of a copy in a run or in an export.
FILE = "embedding.tflite"
_IDENTIFIER = b"TFL3"
_DAMAGED = "is damaged; copy it again from its source"
_SHOWN_NAMES = 5
_MAX_THREADS = 16


def find(path: str | Path) -> Path | None:
    """Return the LiteRT file at a path, a file or a folder with a copy in it; None if it is something else."""
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    return file if file.is_file() else None


def check_options(path: str | Path, fine_tune: bool, jit_compile: bool) -> None:
    """Check that a training does not ask of a LiteRT file what it cannot do.

    Raises:
        UserError: It does.
    """
    if fine_tune:
        raise UserError(
            f"--fine_tune: {path} has a LiteRT file as its network, which has no gradients and cannot be trained; leave"
            " --fine_tune out, or give a SavedModel"
        )
    if jit_compile:
        raise UserError(f"--jit_compile: XLA cannot compile the LiteRT file of {path}; leave --jit_compile out")


class FrontEnd:
    """Embed clips with a LiteRT file, on all cores; it can be called from several threads.

    A file with a fixed number of samples sees a clip in windows. They are spread evenly over the clip and overlap as
    little as that allows. A shorter clip is padded with zeros to one window. A file with a variable number of samples
    sees the whole clip. The embedding is the last axis of the tensor, averaged over its other axes and over the windows.

    Args:
        path: The file.
        tensor: Name of the tensor, see `cut`.
        num_samples: Samples of a clip.

    Attributes:
        content: The file, cut at the tensor.
        name: The name of the tensor.
        window: Samples of a window.
        starts: First sample of each window in a clip.
        size: Values of an embedding.

    Raises:
        UserError: The file cannot be used.
    """

    def __init__(self, path: str | Path, tensor: str, num_samples: int):
        self.path, self.num_samples = str(path), num_samples
        self.content, self.name = cut(path, tensor, num_samples)
        self._idle: queue.SimpleQueue[Interpreter] = queue.SimpleQueue()
        with startup.without_notes():
            interpreter = self._interpreter()
            self.window = interpreter.get_input_details()[0]["shape"][-1].item()
            self.starts = window_starts(self.window, num_samples)
            # The sizes of some outputs are known only after a run.
            self.size = len(self._embed(interpreter, np.zeros(num_samples, np.float32)))
        self._idle.put(interpreter)
        self._threads = ThreadPoolExecutor(min(os.cpu_count() or 1, _MAX_THREADS), "litert")

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """Map clips `(clips, num_samples)` to embeddings `(clips, size)`, float32."""
        embeddings = list(self._threads.map(self._embed_one, np.asarray(clips, np.float32)))
        return np.stack(embeddings) if embeddings else np.zeros((0, self.size), np.float32)

    def _embed_one(self, clip: np.ndarray) -> np.ndarray:
        try:
            interpreter = self._idle.get_nowait()
        except queue.Empty:
            interpreter = self._interpreter()
        try:
            return self._embed(interpreter, clip)
        finally:
            self._idle.put(interpreter)

    def _embed(self, interpreter: Interpreter, clip: np.ndarray) -> np.ndarray:
        """Average the embeddings of the windows of a clip."""
        source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        clip = np.pad(clip, (0, max(0, self.window - len(clip))))
        total = 0.0
        for start in self.starts:
            window = clip[start : start + self.window].reshape(source["shape"])
            try:
                # Else a recurrent network goes on from the window before.
                interpreter.reset_all_variables()
                interpreter.set_tensor(source["index"], window)
                interpreter.invoke()
            except (RuntimeError, ValueError) as error:
                raise UserError(
                    f"--embedding: {self.path} does not support {self.window} samples: {reason(error)}"
                ) from error
            total += _mean(interpreter.get_tensor(target["index"]), target)
        return (total / len(self.starts)).astype(np.float32)

    def _interpreter(self) -> Interpreter:
        try:
            interpreter = Interpreter(model_content=self.content, num_threads=1)
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise UserError(f"--embedding: LiteRT cannot run {self.path}: {reason(error)}") from error
        return interpreter


def window_starts(window: int, num_samples: int) -> list[int]:
    """Return the first samples of the fewest windows that cover a clip, spread evenly; one if the clip is shorter."""
    last = max(0, num_samples - window)
    gaps = math.ceil(last / window)
    return [round(last * number / max(gaps, 1)) for number in range(gaps + 1)]


def cut(path: str | Path, tensor: str, num_samples: int) -> tuple[bytes, str]:
    """Return a LiteRT file whose only output is one of its tensors.

    Args:
        path: The file.
        tensor: Name of the tensor, or how it ends after a slash; empty for the first output.
        num_samples: Samples of a clip, which a variable number of samples becomes.

    Returns:
        The content of the new file, and the name of the tensor.

    Raises:
        UserError: It is no LiteRT file, its input is not a waveform, or it does not compute such a tensor from it.
    """
    model = _read(path)
    graph = model.subgraphs[0]
    _check_input(graph, path)
    source = graph.tensors[graph.inputs[0]]
    if _is_variable(source):
        source.shape, source.shapeSignature = [*([1] * (len(source.shape) - 1)), num_samples], None
    computed = {index: _name(graph.tensors[index]) for step in graph.operators for index in step.outputs}
    index = _index(tensor, computed, path) if tensor else graph.outputs[0]
    name = _name(graph.tensors[index])
    _check_tensor(graph.tensors[index], name, path)
    needed, kept = {index}, []
    for step in reversed(graph.operators):
        if needed.intersection(step.outputs):
            kept.insert(0, step)
            needed.update(step.inputs)
    if graph.inputs[0] not in needed:
        raise UserError(
            f'--embedding_tensor: "{name}" of {path} does not depend on the waveform; choose another tensor'
        )
    graph.operators, graph.outputs = kept, [index]
    # Both describe the former outputs.
    model.signatureDefs = model.metadata = None
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output()), name


def _read(path: str | Path) -> schema.ModelT:
    """Read a LiteRT file, which LiteRT itself checks first."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"--embedding: cannot read {path}: {error.strerror}") from error
    if content[4:8] != _IDENTIFIER:
        raise UserError(f"--embedding: {path} is not a LiteRT file (.tflite)")
    try:
        with startup.without_notes():
            Interpreter(model_content=content)
        model = schema.ModelT.InitFromPackedBuf(content)
    except Exception as error:
        # Anything may come of a damaged file: LiteRT and its schema in Python have no exception of their own.
        raise UserError(f"--embedding: {path} {_DAMAGED} ({reason(error)})") from error
    if not model.subgraphs or not len(model.subgraphs[0].outputs) or not model.subgraphs[0].operators:
        raise UserError(f"--embedding: {path} {_DAMAGED} (it has no output)")
    for step in model.subgraphs[0].operators:
        # Lists of nothing are None in the schema.
        step.inputs, step.outputs = ([] if part is None else list(part) for part in (step.inputs, step.outputs))
    return model


def _check_input(graph: schema.SubGraphT, path: str | Path) -> None:
    inputs = [graph.tensors[index] for index in ([] if graph.inputs is None else graph.inputs)]
    if len(inputs) == 1 and inputs[0].type == schema.TensorType.FLOAT32:
        shape = _shape(inputs[0])
        if len(shape) in (1, 2) and shape[:-1] in ([], [1]) and (shape[-1] > 1 or _is_variable(inputs[0])):
            return
    raise UserError(
        f"--embedding: {path} takes {', '.join(map(_describe, inputs)) or 'nothing'}; expected one float32 waveform,"
        " (samples) or (1, samples)"
    )


def _check_tensor(tensor: schema.TensorT, name: str, path: str | Path) -> None:
    """Check that a tensor holds numbers: floats, or integers with a scale."""
    floats = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
    scale = tensor.quantization.scale if tensor.quantization else None
    is_quantized = tensor.type in (schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT16)
    has_scale = scale is not None and len(scale) == 1
    if not (tensor.type in floats or (is_quantized and has_scale)) or not _shape(tensor):
        raise UserError(
            f'--embedding_tensor: "{name}" of {path} is {_describe(tensor)}; expected float values, or quantized ones'
            " with one scale"
        )


def _name(tensor: schema.TensorT) -> str:
    """Return the first name of a tensor: one that stands for several tensors of the source has theirs after it."""
    return tensor.name.decode(errors="replace").split(";")[0]


def _index(tensor: str, computed: dict[int, str], path: str | Path) -> int:
    """Return the tensor that is named, or the only one whose name ends with the one given."""
    exact = [index for index, name in computed.items() if name == tensor]
    found = exact or [index for index, name in computed.items() if name.endswith(f"/{tensor}")]
    if len(found) == 1:
        return found[0]
    if found:
        what, listed = f'computes several tensors "{tensor}"', [computed[index] for index in found]
    else:
        what, listed = f'computes no tensor "{tensor}"', _near(tensor, list(computed.values()))
    raise UserError(
        f"--embedding_tensor: {path} {what}; give one of its names, such as {', '.join(listed[:_SHOWN_NAMES])}"
    )


def _near(tensor: str, names: list[str]) -> list[str]:
    """Sort names by their likeness to another; full names begin alike, so that their ends count too."""

    def likeness(name: str) -> float:
        end = "/".join(name.split("/")[-1 - tensor.count("/") :])
        return max((tensor in name) + difflib.SequenceMatcher(None, tensor, part).ratio() for part in (name, end))

    return sorted(names, key=likeness, reverse=True)


def _describe(tensor: schema.TensorT) -> str:
    types = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    return f"{types.get(tensor.type, 'unknown')} ({', '.join(map(str, _shape(tensor)))})"


def _shape(tensor: schema.TensorT) -> list[int]:
    # No dimensions are None in the schema.
    return [] if tensor.shape is None else list(tensor.shape)


def _is_variable(tensor: schema.TensorT) -> bool:
    """Whether the last dimension of a tensor may have any size."""
    return tensor.shapeSignature is not None and len(tensor.shapeSignature) > 0 and tensor.shapeSignature[-1] < 0


def _mean(values: np.ndarray, detail: dict) -> np.ndarray:
    """Return the mean over all axes but the last, of real numbers if the values are quantized."""
    scale, zero_point = detail["quantization"]
    values = values.astype(np.float64)
    if scale:
        values = (values - zero_point) * scale
    return values.reshape(-1, values.shape[-1]).mean(axis=0)
