"""Muon: momentum whose matrices are made orthogonal before each step, so that all directions of a
layer learn alike and not just the few that its gradients are full of.

K. Jordan and others, 2024, https://kellerjordan.github.io/posts/muon/ (the Newton-Schulz iteration
and its coefficients); scaled to the root mean square of Adam's steps as in arXiv 2502.16982,
equation 4, so that Adam's learning rates and weight decay fit.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonal(matrix: Any) -> Any:
    """The nearest matrix with orthonormal rows or columns, roughly: singular values near 1.

    Args:
        matrix: float32 [rows, columns].
    """
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = ops.transpose(matrix) if tall else matrix
    x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = ops.matmul(x, ops.transpose(x))
        x = a * x + ops.matmul(b * gram + c * ops.matmul(gram, gram), x)
    return ops.transpose(x) if tall else x


class Muon(keras.optimizers.Optimizer):
    """For the kernels of convolutions and dense layers only.

    A kernel counts as a matrix from all of its inputs to its outputs.

    Args:
        learning_rate: A number or a schedule.
        momentum: Of Nesterov's kind.
        weight_decay: Decoupled, as AdamW's.
    """

    def __init__(
        self, learning_rate: Any, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, name="muon")
        self.momentum = momentum

    def build(self, variables: list[Any]) -> None:
        """Makes the momenta."""
        if self.built:
            return
        super().build(variables)
        self._momenta = [self.add_variable_from_reference(v, "momentum") for v in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one kernel."""
        held = self._momenta[self._get_variable_index(variable)]
        self.assign(held, self.momentum * held + gradient)
        step = gradient + self.momentum * held
        shape = variable.shape
        matrix = orthogonal(ops.reshape(step, (-1, shape[-1])))
        scale = 0.2 * max(matrix.shape) ** 0.5
        rate = ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, rate * scale * ops.reshape(matrix, shape))
