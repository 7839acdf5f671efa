import inspect

import keras

from common import keras_defects

NEEDED = [
    ("_maybe_symbolic_build", "distribute_strategy.reduce("),
    ("reduce_per_replica", 'strategy.reduce("MEAN", v, axis=0)'),
]


def test_a_function_without_the_defect_is_left_alone(monkeypatch):
    def mended(values, strategy, reduction):
        return values

    monkeypatch.setattr(keras_defects._trainer, "reduce_per_replica", mended)
    monkeypatch.setattr(keras_defects._trainer.TensorFlowTrainer, "_maybe_symbolic_build", mended)
    keras_defects.mend()
    assert keras_defects._trainer.reduce_per_replica is mended
    assert keras_defects._trainer.TensorFlowTrainer._maybe_symbolic_build is mended


def test_this_version_of_keras_has_the_defects():
    """Where this fails Keras has mended something: then that part of the module can go."""
    source = inspect.getsource(keras_defects._trainer)
    for name, defect in NEEDED:
        assert name in source and defect in source, f"Keras {keras.__version__} has mended {name}"


def test_mending_twice_is_mending_once(monkeypatch):
    for owner, name in (
        (keras_defects._trainer, "reduce_per_replica"),
        (keras_defects._trainer.TensorFlowTrainer, "_maybe_symbolic_build"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    keras_defects.mend()
    mended = keras_defects._trainer.reduce_per_replica
    keras_defects.mend()
    assert keras_defects._trainer.reduce_per_replica is mended
