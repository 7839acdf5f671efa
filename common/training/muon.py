"""Muon for networks of convolutions: each kernel moves by the nearest orthogonal matrix to its momentum.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024 (kellerjordan.github.io/posts/muon); scaled
as in J. Liu et al., "Muon is scalable for LLM training", 2025 (arXiv 2502.16982), so that it takes the learning rates and the
weight decay of AdamW.
"""

from types import SimpleNamespace

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="quartet")
class Muon(keras.optimizers.Muon):
    """Keras' Muon, which knows matrices only, for kernels of convolutions too, as in its authors' own.

    A kernel `(…, inputs, outputs)` is taken as the matrix `(… * inputs, outputs)`. AdamW, with the same learning rate and
    decay, moves what is no such matrix: biases, scales, and kernels with a single output, to which depthwise ones belong;
    and what `exclude_layers` and `exclude_embeddings` name.

    Takes the arguments of `keras.optimizers.Muon`; `weight_decay` is of what Muon moves, `adam_weight_decay` of the rest.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
        >>> model.compile(Muon(0.003), "mse")
    """

    def _should_use_adamw(self, variable):
        if len(variable.shape) < 2 or variable.shape[-1] == 1:
            return True
        # Keras asks whether it is a matrix, which is answered above, and then for the names that are left out.
        return super()._should_use_adamw(SimpleNamespace(shape=(2, 2), path=variable.path))

    def zeropower_via_newtonschulz5(self, x, steps):
        """Return about the nearest matrix whose singular values are all 1, in the shape of `x`."""
        return _as_matrix(lambda matrix: super(Muon, self).zeropower_via_newtonschulz5(matrix, steps), x)

    def lr_adjust(self, x):
        """Give every element the mean square that AdamW's steps have, whatever the shape."""
        return _as_matrix(super().lr_adjust, x)

    def _apply_weight_decay(self, variables):
        # Keras 3.15 computes the learning rate anew for every variable: with a schedule a seventh of what tracing a
        # training of `separation` costs.
        rate = self.learning_rate
        for variable in variables:
            decay = self.adam_weight_decay if self._should_use_adamw(variable) else self.weight_decay
            if decay is not None and self._use_weight_decay(variable):
                decay, own_rate = (ops.cast(value, variable.dtype) for value in (decay, rate))
                variable.assign(variable - variable * decay * own_rate)


def _as_matrix(function, x):
    return ops.reshape(function(ops.reshape(x, (-1, x.shape[-1]))), x.shape)
