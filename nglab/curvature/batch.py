"""The passes of one step over its batch, for any likelihood."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.linearised import Linearised
from nglab.networks.network import Network
from nglab.networks.passes import (
    Activations,
    Errors,
    add_outer_,
    backward,
    by_matrices,
    forward,
    matrix_outputs,
)
from nglab.networks.scratch import Scratch


class Batch(Scratch):
    """Activations, errors and gradient of a batch of M examples, in memory that every step writes anew.

    `activations` holds x_0 … x_L; set 0 of `errors` holds e_1 … e_L of the true targets, the sets 1 … K those of
    targets sampled from the model; `gradient` holds G_i = ⟨e_i x_{i-1}ᵀ⟩ = −∂h/∂W_i (Eq. 7), made at `params`.
    """

    def __init__(
        self, network: Network, likelihood: Likelihood, params: Layers, examples: int, samples: int
    ) -> None:
        self.network, self.likelihood, self.params = network, likelihood, params
        self.examples, self.samples = examples, samples
        self.activations = Activations(network, examples, params[0])
        self.errors = Errors(network, examples, 1 + samples, params[0])
        self._errors_of = {1 + samples: self.errors}  # as many sets
        self.gradient = params.map(torch.empty_like)

    def gradient_(
        self, params: Layers, x: Tensor, y: Tensor, generators: Sequence[torch.Generator] = ()
    ) -> Tensor:
        """h `[...]` at `params`; `gradient` is there too, and in the same backward pass the K sampled errors.

        Without `generators` no targets are sampled.
        """
        self.params = params
        sets = 1 + self.samples if generators else 1
        if sets not in self._errors_of:
            self._errors_of[sets] = Errors(self.network, self.examples, sets, params[0])
        self.errors = self._errors_of[sets]
        loss = self.loss(params, x, y)  # Eq. 1
        if sets > 1:
            sampled = self.errors.output.narrow(-3, 1, self.samples)
            self.likelihood.sample_error(self.activations.output, generators, out=sampled)
        backward(self.network, params, self.activations, self.errors)  # Eq. 8
        for g, e, x_in in zip(
            self.gradient.batched, self.errors.rows(0, 1), self.activations.inputs.batched,
            strict=True,
        ):  # fmt: skip
            add_outer_(g, e, x_in, scale=1 / self.examples, keep=0)  # Eq. 7
        return loss

    shares: Sequence[float] | None = None
    """r_i, what share of α each layer takes; None: the whole."""

    def share_(self, direction: Layers) -> None:
        """D_i ← r_i D_i."""
        for d, share in zip(direction.views, self.shares or (), strict=False):
            d *= share

    def input_rows(self) -> list[Tensor]:
        """x_{i-1} with its 1 where there is a bias, `[(batch,) rows, m_i]` for each group of layers."""
        return self.activations.inputs.batched

    def error_rows(self) -> list[Tensor]:
        """e_i of the sampled targets, `[(batch,) K rows, n_i]` for each group of layers."""
        return self.errors.rows(1)

    def linearised(self, params: Layers, examples: int | None) -> Linearised:
        """The network near the `params` that the last pass was made at, on the first `examples` (None: all)."""
        linearised = Linearised(self.network, params, self.activations)
        if examples is None or examples >= self.examples:
            return linearised
        return linearised.on_first(examples)

    def loss(self, params: Layers, x: Tensor, y: Tensor) -> Tensor:
        """h `[...]` at `params`; the activations and the output error of the true targets are theirs from here on."""
        forward(self.network, params, x, self.activations)
        return self._loss_of(self.activations.output, y)

    def trial_loss(self, params: Layers, x: Tensor, y: Tensor) -> Tensor:
        """h `[...]` at `params`, and nothing else: what activations and errors hold from here on has no meaning."""
        if by_matrices(self.network, self.examples):
            return self._loss_of(matrix_outputs(self.network, params, x), y)
        return self.loss(params, x, y)

    def _loss_of(self, output: Tensor, y: Tensor) -> Tensor:
        error = self.errors.output.select(-3, 0)
        self.likelihood.error(output, y, out=error)
        return self.likelihood.loss(output, y, error)
