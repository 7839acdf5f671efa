"""Patches for defects of Keras with several devices and workers: keras-team/keras#20585, open since 2024.

Two functions of the TensorFlow trainer are replaced, each only if the installed Keras has the defect:

- Before `fit`, `evaluate` and `predict`, Keras sums the first batch over the devices to find the shapes. This fails if
  the parts differ in size, e.g. nine examples split into five and four, and sends a whole batch over the network. The
  part of one device is sufficient.
- With several workers, Keras averages each metric of a step along its first axis, but metrics are scalars.
"""

import inspect

import keras

from common.log import logger

_trainer = keras.src.backend.tensorflow.trainer


def apply() -> None:
    """Replace the defective functions; functions that are fixed in the installed Keras are kept."""
    for owner, name, defect, fixed in (
        (_trainer.TensorFlowTrainer, "_maybe_symbolic_build", "distribute_strategy.reduce(", _build_from_one_part),
        (_trainer, "reduce_per_replica", 'strategy.reduce("MEAN", v, axis=0)', _reduce_per_replica),
    ):
        if is_needed(getattr(owner, name), defect):
            setattr(owner, name, fixed)
            logger.debug("Keras function %s is patched: keras-team/keras#20585", name)


def is_needed(function, defect: str) -> bool:
    """Whether a function of Keras has the defective line; a patched function does not have it."""
    return defect in inspect.getsource(function)


def _build_from_one_part(self, iterator=None, data_batch=None):
    if self._distribute_strategy is None:
        return
    if iterator is not None:
        local_parts = self.distribute_strategy.experimental_local_results
        batches = next(next(iter(iterator))[2])
        data_batch = keras.tree.map_structure(lambda part: local_parts(part)[0], batches)
    with self.distribute_strategy.scope():
        self._symbolic_build(data_batch=data_batch)


_keras_reduce_per_replica = _trainer.reduce_per_replica


def _reduce_per_replica(values, strategy, reduction):
    several_workers = _trainer._collective_all_reduce_multi_worker(strategy)
    if several_workers and reduction in ("auto", "mean"):
        return keras.tree.map_structure(lambda value: strategy.reduce("MEAN", value, axis=None), values)
    return _keras_reduce_per_replica(values, strategy, reduction)
