"""What the code takes of Keras and TensorFlow beyond their public names: each fails here first when they change it."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.distribution import keras_fixes
from common.training.muon import Muon

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("common", "kws", "counting", "separation", "generation")
# Private names of others that are called; a new one needs a test below. What Python documents is not private.
CALLED = {
    "_collective_all_reduce_multi_worker",
    "_distribute_strategy",
    "_flatten_layers",
    "_loss_tracker",
    "_num_workers",
    "_symbolic_build",
    "_use_weight_decay",
    "_var_key",
}
DOCUMENTED = {"_asdict", "_exit", "_replace"}
# Private methods of Keras that classes here replace.
REPLACED = {("Muon", "_apply_weight_decay"), ("Muon", "_should_use_adamw")}


def parameters(function) -> list[str]:
    return list(inspect.signature(function).parameters)


def sources():
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_no_other_private_names_are_called():
    own, used = set(), {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                own.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                used.setdefault(node.attr, path)
                if isinstance(node.ctx, ast.Store):
                    own.add(node.attr)
    # The one that is asked for by its name, since not every strategy has it.
    found = {name for name in used if name not in own} | {"_num_workers"}
    assert found - DOCUMENTED == CALLED, {name: str(used.get(name)) for name in found ^ (CALLED | DOCUMENTED)}


def test_no_other_private_methods_of_keras_are_replaced():
    for package in PACKAGES:
        for found in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            importlib.import_module(found.name)
    kinds = [keras.layers.Layer, keras.callbacks.Callback, keras.metrics.Metric, keras.optimizers.Optimizer]
    kinds.append(keras.optimizers.schedules.LearningRateSchedule)
    replaced = set()
    while kinds:
        kind = kinds.pop()
        kinds.extend(kind.__subclasses__())
        if kind.__module__.startswith(PACKAGES):
            theirs = {name for base in kind.__mro__ if base.__module__.startswith("keras.") for name in vars(base)}
            own = {name for name in vars(kind) if name.startswith("_") and not name.startswith("__")}
            replaced |= {(kind.__name__, name) for name in own & theirs if not name.startswith("_tf_")}
    assert replaced == REPLACED


def test_only_one_module_reaches_into_keras_src():
    reaching = [path.name for path in sources() if "keras.src" in path.read_text()]
    assert reaching == ["keras_fixes.py"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_should_use_adamw", ["self", "variable"]),
        ("_apply_weight_decay", ["self", "variables"]),
        ("_use_weight_decay", ["self", "variable"]),
        ("zeropower_via_newtonschulz5", ["self", "x", "steps"]),
        ("lr_adjust", ["self", "x"]),
    ],
)
def test_what_muon_replaces_and_calls_takes_the_same_arguments(name, expected):
    assert parameters(getattr(keras.optimizers.Muon, name)) == expected == parameters(getattr(Muon, name))


def test_keras_calls_what_muon_replaces():
    called = []

    class Told(keras.optimizers.Muon):
        def _should_use_adamw(self, variable):
            called.append("_should_use_adamw")
            return False

        def _apply_weight_decay(self, variables):
            called.append("_apply_weight_decay")

        def zeropower_via_newtonschulz5(self, x, steps):
            called.append("zeropower_via_newtonschulz5")
            return x

        def lr_adjust(self, x):
            called.append("lr_adjust")
            return x

    variable = keras.Variable(np.ones((3, 2), np.float32))
    Told(weight_decay=0.1).apply([tf.ones((3, 2))], [variable])
    assert called == ["_should_use_adamw", "_apply_weight_decay", "zeropower_via_newtonschulz5", "lr_adjust"]


@pytest.mark.parametrize("kind", [keras.optimizers.SGD, keras.optimizers.AdamW, Muon])
def test_every_step_of_a_variable_has_its_learning_rate_and_key(kind):
    optimizer, seen = kind(0.5), []
    step = optimizer.update_step

    def update_step(gradient, variable, learning_rate):
        seen.append((optimizer._var_key(variable), float(learning_rate)))
        return step(gradient, variable, learning_rate)

    optimizer.update_step = update_step
    variables = [keras.Variable(np.ones((3, 2), np.float32)) for _ in range(2)]
    optimizer.apply([tf.ones((3, 2))] * 2, variables)
    assert seen == [(optimizer._var_key(variable), 0.5) for variable in variables]
    assert len({key for key, _ in seen}) == 2


def test_keras_asks_of_a_variable_for_its_shape_and_path_alone():
    """Muon hands it a stand-in that has no more."""
    tree = ast.parse(inspect.getsource(keras.optimizers.Muon._should_use_adamw).lstrip())
    asked = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "variable"
    }
    assert asked == {"shape", "path"}


def test_weights_are_swapped_before_a_test_and_after():
    """`averages` measures statistics right behind the first of these calls."""
    for name in ("on_test_begin", "on_test_end"):
        assert "self._swap_variables()" in inspect.getsource(getattr(keras.callbacks.SwapEMAWeights, name))


def test_layers_are_listed_however_deep_they_lie():
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential([keras.layers.BatchNormalization()])

        def call(self, inputs):
            return self.inner(inputs)

    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(), Block()])
    assert sum(hasattr(layer, "moving_variance") for layer in model._flatten_layers()) == 2


def test_a_momentum_of_nought_leaves_the_statistics_of_the_last_batch(rng):
    layer = keras.layers.BatchNormalization()
    batches = rng.normal(3, 2, (2, 64, 5)).astype(np.float32)
    layer(batches[0], training=True)
    layer.momentum = 0.0
    tf.function(lambda inputs: layer(inputs, training=True))(batches[1])
    np.testing.assert_allclose(layer.moving_mean, batches[1].mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, batches[1].var(axis=0), rtol=1e-3)


def test_a_model_has_a_tracker_of_its_loss_and_calls_what_the_separator_replaces():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert model._loss_tracker in model.metrics and model._loss_tracker.name == "loss"
    assert parameters(keras.Model.compute_loss) == ["self", "x", "y", "y_pred", "sample_weight", "training"]
    assert parameters(keras.Model.compute_metrics) == ["self", "x", "y", "y_pred", "sample_weight"]


def test_the_trainer_has_what_is_mended_and_what_that_calls():
    trainer = keras_fixes._trainer
    assert parameters(trainer.TensorFlowTrainer._maybe_symbolic_build) == ["self", "iterator", "data_batch"]
    assert parameters(trainer.reduce_per_replica) == ["values", "strategy", "reduction"]
    assert parameters(trainer._collective_all_reduce_multi_worker) == ["strategy"]
    assert "data_batch" in parameters(trainer.TensorFlowTrainer._symbolic_build)
    model = keras.Sequential()
    assert model._distribute_strategy is None and isinstance(model, trainer.TensorFlowTrainer)


def test_a_strategy_of_several_workers_knows_how_many_they_are():
    """A strategy without this number would count as one of a single worker."""
    strategy = importlib.import_module("tensorflow.python.distribute.collective_all_reduce_strategy")
    assert "CollectiveAllReduceExtended(" in inspect.getsource(tf.distribute.MultiWorkerMirroredStrategy.__init__)
    assert "self._num_workers = multi_worker_util.worker_count(" in inspect.getsource(
        strategy.CollectiveAllReduceExtended
    )
