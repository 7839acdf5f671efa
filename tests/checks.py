"""What tests share: waveforms, a check that every public layer passes, and goldens.

Example:
    >>> import keras
    >>> check_layer(keras.layers.Rescaling(2.0), waveforms(2, 16), litert=False, package=None)
"""

import inspect
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.example_corpora.glides import waveforms as waveforms
from common.export import graphs
from common.export import litert as lite


def check_layer(
    layer: keras.layers.Layer,
    inputs: np.ndarray,
    *,
    litert: bool = True,
    atol: float = 1e-5,
    package: str | None = "quartet",
) -> None:
    """Check that a layer gives the same answer however it is run, saved or batched.

    The layer is called on the inputs, and then again: rebuilt from its configuration; symbolically; each example alone,
    and beside one a thousand times louder; inside `tf.data`; under XLA; as a reloaded `.keras` file; as a SavedModel;
    in LiteRT with builtin operators; and, to the precision of its type, under both mixed policies.

    Args:
        layer: In float32; built or not.
        inputs: A batch of at least two examples, float32, shape (batch, ...).
        litert: Whether the layer is to run in LiteRT.
        atol: Largest difference, for outputs up to 1; for larger ones it grows with the largest output.
        package: The package the layer must be registered in; None if it need not be.

    Raises:
        AssertionError: The layer fails one of them; the message says which.
    """
    inputs = np.asarray(inputs)
    expected = layer(inputs).numpy()
    assert np.isfinite(expected).all(), "the outputs are not finite"

    def check(outputs, which, reference=expected, atol=atol):
        outputs = np.asarray(outputs, np.float32)
        assert outputs.shape == reference.shape, f"{which}: shape {outputs.shape}, expected {reference.shape}"
        difference = np.abs(outputs - reference).max() / max(1.0, np.abs(expected).max())
        assert difference <= atol, f"{which}: differs by {difference:.2g}, allowed are {atol:.2g}"

    if package:
        name = keras.saving.get_registered_name(type(layer))
        assert name == f"{package}>{type(layer).__name__}", f'registered as "{name}", expected package "{package}"'
    check(_copy(layer, inputs)(inputs), "rebuilt from its configuration")
    missing = _arguments(type(layer)) - set(layer.get_config())
    assert not missing, f"get_config leaves out {', '.join(sorted(missing))}"

    symbolic = layer(keras.Input(inputs.shape[1:], dtype=inputs.dtype.name))
    assert symbolic.shape == (None, *expected.shape[1:]), f"symbolic shape {symbolic.shape}, expected {expected.shape}"
    shape = tuple(layer.compute_output_shape(inputs.shape))
    assert shape == expected.shape, f"compute_output_shape says {shape}, expected {expected.shape}"

    for index in range(len(inputs)):
        check(layer(inputs[index : index + 1]), "alone, not in a batch", expected[index : index + 1])
    beside_a_loud_one = layer(np.concatenate([inputs[-1:], 1000 * inputs[-1:]]))
    check(beside_a_loud_one[:1], "beside a loud example", expected[-1:])

    dataset = tf.data.Dataset.from_tensor_slices(inputs).batch(len(inputs)).map(layer)
    check(next(dataset.as_numpy_iterator()), "in tf.data")
    check(tf.function(layer, jit_compile=True, autograph=False)(inputs), "under XLA")
    for policy in ("mixed_float16", "mixed_bfloat16"):
        outputs = _copy(layer, inputs, policy)(inputs)
        assert outputs.dtype.name == layer_dtype(policy), f"{policy}: outputs are {outputs.dtype.name}"
        check(tf.cast(outputs, tf.float32), policy, atol=0.03)
    with tempfile.TemporaryDirectory() as folder:
        _check_saved(layer, inputs, expected, check, Path(folder), litert)


def layer_dtype(policy: str) -> str:
    """Return the type that layers under a policy compute in.

    Example:
        >>> layer_dtype("mixed_bfloat16")
        'bfloat16'
    """
    return keras.dtype_policies.get(policy).compute_dtype


def five_numbers(array) -> list[float]:
    """Sum up an array for a golden: mean, mean magnitude, smallest, largest, and a mean that depends on order.

    Example:
        >>> five_numbers([1.0, -1.0, 3.0])
        [1.0, 1.66667, -1.0, 3.0, 0.888889]
    """
    values = np.asarray(array, np.float64).ravel()
    ramp = np.arange(1, values.size + 1) / values.size
    numbers = [values.mean(), np.abs(values).mean(), values.min(), values.max(), (values * ramp).mean()]
    return [float(f"{number:.6g}") for number in numbers]


def check_golden(array, golden: list[float], tolerance: float = 1e-4) -> None:
    """Check `five_numbers` of an array against those written down in a test.

    Args:
        array: Any shape.
        golden: What `five_numbers` gave when the array was known to be right.
        tolerance: Largest difference, as a part of the largest magnitude in `golden`.

    Raises:
        AssertionError: They differ; the message has the new numbers.
    """
    numbers = five_numbers(array)
    allowed = tolerance * max(abs(number) for number in golden)
    assert np.allclose(numbers, golden, rtol=0, atol=allowed), f"the numbers are {numbers}, golden are {golden}"


def _arguments(layer_class):
    """Return the names of the arguments of a layer and of its parents, but for those of Keras."""
    parents = [
        parent
        for parent in layer_class.__mro__
        if not parent.__module__.startswith(("keras", "tensorflow", "builtins"))
    ]
    parameters = [parameter for parent in parents for parameter in inspect.signature(parent).parameters.values()]
    return {parameter.name for parameter in parameters if parameter.kind != parameter.VAR_KEYWORD}


def _copy(layer, inputs, policy=None):
    """Return a new layer of the same configuration and weights, under another policy if one is given."""
    config = layer.get_config()
    if policy:
        config["dtype"] = policy
    copy = type(layer).from_config(config)
    copy(inputs)
    copy.set_weights(layer.get_weights())
    return copy


def _check_saved(layer, inputs, expected, check, folder, litert):
    """Save the layer in a model of its own, in each format, and check what is loaded."""
    model = keras.Sequential([keras.Input(inputs.shape[1:], dtype=inputs.dtype.name), layer])
    model.save(folder / "model.keras")
    check(keras.saving.load_model(folder / "model.keras")(inputs), "saved as .keras and reloaded")
    model.export(folder / "saved_model", verbose=False)
    loaded = tf.saved_model.load(folder / "saved_model")
    check(loaded.serve(inputs), "as a SavedModel")
    if litert:
        signature = tf.TensorSpec((1, *inputs.shape[1:]), inputs.dtype)
        lite.write(model, graphs.probabilities_of(model, signature), folder / "model.tflite")
        check(lite.run(folder / "model.tflite", inputs[:1], "probabilities"), "in LiteRT", expected[:1])
