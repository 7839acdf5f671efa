"""What Keras still lacks for several devices and several workers: keras-team/keras#20585, open since 2024.

Two functions of its TensorFlow trainer are exchanged, each only as long as Keras' own has the defect:

- Before it fits, evaluates or predicts, Keras adds the devices' parts of the first batch up to learn their shapes. That
  fails where nine examples are dealt as five and four, and sends a whole batch over the network. One device's own part
  tells as much.
- Of several workers it averages each figure of a step along its first axis; figures are numbers and have none.
"""

import inspect
import logging

import keras

_trainer = keras.src.backend.tensorflow.trainer


def mend() -> None:
    """Exchange what is defective; what Keras has mended is left alone."""
    for owner, name, defect, mended in (
        (_trainer.TensorFlowTrainer, "_maybe_symbolic_build", "distribute_strategy.reduce(", _build_from_one_part),
        (_trainer, "reduce_per_replica", 'strategy.reduce("MEAN", v, axis=0)', _reduce_per_replica),
    ):
        if is_needed(getattr(owner, name), defect):
            setattr(owner, name, mended)
            logging.debug("Keras' %s is exchanged: keras-team/keras#20585", name)


def is_needed(function, defect: str) -> bool:
    """Say whether a function of Keras still has the line at fault; one that was exchanged already has not."""
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
