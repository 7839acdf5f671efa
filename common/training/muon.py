"""Muon for convolutional networks: the update of a kernel is the nearest orthogonal matrix to its momentum.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024 (kellerjordan.github.io/posts/muon).
The update is scaled as in J. Liu et al., "Muon is scalable for LLM training", 2025 (arXiv 2502.16982), so learning
rates and weight decay of AdamW can be used.
"""

from types import SimpleNamespace

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="quartet")
class Muon(keras.optimizers.Muon):
    """Muon of Keras, which supports matrices only, extended to convolution kernels as in the original code.

    A kernel `(…, inputs, outputs)` is reshaped to the matrix `(… * inputs, outputs)`. Other variables are updated by
    AdamW with the same learning rate and decay: biases, scales, kernels with a single output (including depthwise
    kernels), and the variables of `exclude_layers` and `exclude_embeddings`.

    The arguments are those of `keras.optimizers.Muon`; `weight_decay` is for the variables updated by Muon,
    `adam_weight_decay` for the others.

    Example:
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
        >>> model.compile(Muon(0.003), "mse")
    """

    def _should_use_adamw(self, variable):
        if len(variable.shape) < 2 or variable.shape[-1] == 1:
            return True
        # The shape is already checked, so the parent class gets a matrix shape and only checks the excluded names.
        return super()._should_use_adamw(SimpleNamespace(shape=(2, 2), path=variable.path))

    def zeropower_via_newtonschulz5(self, x, steps):
        """Return the approximately nearest matrix with all singular values equal to 1, in the shape of `x`."""
        return _as_matrix(lambda matrix: super(Muon, self).zeropower_via_newtonschulz5(matrix, steps), x)

    def lr_adjust(self, x):
        """Scale the update to the RMS of AdamW updates, independent of the shape."""
        return _as_matrix(super().lr_adjust, x)

    def _apply_weight_decay(self, variables):
        # Keras 3.15 computes the learning rate for every variable; with a schedule this takes a seventh of the tracing
        # time of a `separation` training.
        rate = self.learning_rate
        for variable in variables:
            decay = self.adam_weight_decay if self._should_use_adamw(variable) else self.weight_decay
            if decay is not None and self._use_weight_decay(variable):
                decay, own_rate = (ops.cast(value, variable.dtype) for value in (decay, rate))
                variable.assign(variable - variable * decay * own_rate)


def _as_matrix(function, x):
    return ops.reshape(function(ops.reshape(x, (-1, x.shape[-1]))), x.shape)
