"""The gradient of a batch, and nothing else: no loss, no sampled targets."""

from torch import Tensor

from nglab.networks.layers import Layers
from nglab.networks.passes import Activations, Errors, backward, forward
from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Task


class Descent(Scratch):
    """The passes over a batch, and what is looked up once: views of e_iᵀ, and the product for as many matrices.

    Backpropagation is linear in e_L, so a factor of the gradient multiplies e_L once, and each product e_iᵀ x_{i-1} is
    added as it is to what it is to change. Nothing is allocated: three products a layer, written into kept buffers.
    """

    def __init__(self, task: Task, params: Layers, batch_size: int) -> None:
        self.network, self.likelihood = task.network, task.likelihood
        self.activations = Activations(task.network, batch_size, params[0])
        self.errors = Errors(task.network, batch_size, 1, params[0])
        self.output_error = self.errors.layers[-1]  # e_L
        self.errors_transposed = [e.mT for e in self.errors.layers.batched]
        self.add_products = [
            Tensor.addmm_ if w.dim() == 2 else Tensor.baddbmm_ for w in params.batched
        ]

    def backpropagate_(self, params: Layers, x: Tensor, y: Tensor, scale: float | Tensor) -> None:
        """scale · e_i of x `[..., M, n_0]`, y `[..., M, n_y]` (Eqs. 1, 8); scale is a number or `[..., 1, 1]`."""
        forward(self.network, params, x, self.activations)
        error = self.likelihood.error(self.activations.output, y, out=self.output_error)
        error.mul_(scale)
        backward(self.network, params, self.activations, self.errors)

    def add_to_(self, layers: Layers) -> None:
        """Add scale · Σ e_i x_{i-1}ᵀ over the examples to each of `layers`, which may be the parameters (Eq. 7)."""
        for add_, w, e_t, x_in in zip(
            self.add_products, layers.batched, self.errors_transposed,
            self.activations.inputs.batched, strict=True,
        ):  # fmt: skip
            add_(w, e_t, x_in)
