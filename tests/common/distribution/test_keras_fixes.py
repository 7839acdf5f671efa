import inspect

import keras

from common.distribution import keras_fixes

NEEDED = [
    ("_maybe_symbolic_build", "distribute_strategy.reduce("),
    ("reduce_per_replica", 'strategy.reduce("MEAN", v, axis=0)'),
]


def test_a_function_without_the_defect_is_left_alone(monkeypatch):
    def mended(values, strategy, reduction):
        return values

    monkeypatch.setattr(keras_fixes._trainer, "reduce_per_replica", mended)
    monkeypatch.setattr(keras_fixes._trainer.TensorFlowTrainer, "_maybe_symbolic_build", mended)
    keras_fixes.apply()
    assert keras_fixes._trainer.reduce_per_replica is mended
    assert keras_fixes._trainer.TensorFlowTrainer._maybe_symbolic_build is mended


def test_this_version_of_keras_has_the_defects():
    """Where this fails Keras has fixed something: then that part of the module can go."""
    source = inspect.getsource(keras_fixes._trainer)
    for name, defect in NEEDED:
        assert name in source and defect in source, f"Keras {keras.__version__} has fixed {name}"


def test_mending_twice_is_mending_once(monkeypatch):
    for owner, name in (
        (keras_fixes._trainer, "reduce_per_replica"),
        (keras_fixes._trainer.TensorFlowTrainer, "_maybe_symbolic_build"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    keras_fixes.apply()
    mended = keras_fixes._trainer.reduce_per_replica
    keras_fixes.apply()
    assert keras_fixes._trainer.reduce_per_replica is mended
