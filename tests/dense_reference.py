"""Brute force: the same quantities by autodiff and dense matrices, written without any of nglab's algebra."""

from collections.abc import Sequence

import torch
from torch import Tensor

PHI = {
    "identity": lambda z: z,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softplus": torch.nn.functional.softplus,
}


def network_output(network, weights: Sequence[Tensor], x: Tensor) -> list[Tensor]:
    """[x_0, …, x_L] of one network by the definition, differentiable."""
    xs = [x]
    for i, w in enumerate(weights):
        z = xs[-1] @ w[:, : network.widths[i]].T
        if network.bias:
            z = z + w[:, -1]
        xs.append(z if i == network.depth - 1 else PHI[network.activation](z))
    return xs


def squared_error(network, weights: Sequence[Tensor], x: Tensor, y: Tensor) -> Tensor:
    """h = ½ mean over examples of ‖y − x_L‖²."""
    return 0.5 * (y - network_output(network, weights, x)[-1]).square().sum(1).mean()


def autograd_gradient(network, weights: Sequence[Tensor], x: Tensor, y: Tensor) -> list[Tensor]:
    """∂h/∂W_i by autograd."""
    leaves = [w.clone().requires_grad_() for w in weights]
    return list(torch.autograd.grad(squared_error(network, leaves, x, y), leaves))


def gradient_and_factors(
    network, weights, x, y, noise
) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """⟨e_i x_{i−1}ᵀ⟩, Λ_i, Λ̃_i and diag F_i, example by example.

    `noise` `[K, M, n_L]` makes the sampled targets y_s = x_L + noise. Errors come from autograd: with z_i = W_i x_{i−1}
    (+ b_i), e_i of an example is the derivative of −½‖y − x_L‖² with respect to z_i.
    """
    examples = x.shape[0]

    def errors(target: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        zs, inputs, h = [], [], x
        for i, w in enumerate(weights):
            h = torch.cat([h, torch.ones(examples, 1, dtype=x.dtype)], 1) if network.bias else h
            inputs.append(h)
            z = (h @ w.T).detach().requires_grad_() if not zs else h @ w.T
            z.retain_grad()
            zs.append(z)
            h = z if i == network.depth - 1 else PHI[network.activation](z)
        (-0.5 * (target - h).square().sum()).backward()
        return [z.grad for z in zs], [v.detach() for v in inputs]

    output = network_output(network, weights, x)[-1]
    true_errors, inputs = errors(y)
    sampled = [errors(output.detach() + n)[0] for n in noise]
    gradients, factors_in, factors_out, diagonals = [], [], [], []
    for i in range(network.depth):
        pairs = list(zip(true_errors[i], inputs[i], strict=True))
        gradients.append(sum(torch.outer(e, v) for e, v in pairs) / examples)
        factors_in.append(sum(torch.outer(v, v) for v in inputs[i]) / examples)
        all_sampled = torch.cat([s[i] for s in sampled])
        factors_out.append(sum(torch.outer(e, e) for e in all_sampled) / len(all_sampled))
        squares = [
            torch.outer(e, v) ** 2 for s in sampled for e, v in zip(s[i], inputs[i], strict=True)
        ]
        diagonals.append(sum(squares) / len(squares))
    return gradients, factors_in, factors_out, diagonals


def natural_gradient_step(
    network, weights, x, y, noise, alpha: float, damping: float
) -> list[Tensor]:
    """The weights after one step of Eq. 20, read off the paper line by line."""
    new = []
    gradients, factors_in, factors_out, _ = gradient_and_factors(network, weights, x, y, noise)
    for w, gradient, lambda_in, lambda_out in zip(
        weights, gradients, factors_in, factors_out, strict=True
    ):
        damped_out = lambda_out + damping**0.5 * torch.eye(len(lambda_out), dtype=x.dtype)
        damped_in = lambda_in + damping**0.5 * torch.eye(len(lambda_in), dtype=x.dtype)
        step = torch.linalg.solve(damped_out, gradient) @ torch.linalg.inv(damped_in)
        new.append(w + alpha / network.depth * step)
    return new


def output_jacobian(network, weights: Sequence[Tensor], x: Tensor) -> Tensor:
    """∂x_L/∂θ `[M, n_L, P]` by autograd, θ the weights one after the other, row by row."""
    shapes = [w.shape for w in weights]

    def output(theta: Tensor) -> Tensor:
        parts = theta.split([shape.numel() for shape in shapes])
        layers = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        return network_output(network, layers, x)[-1]

    return torch.func.jacrev(output)(torch.cat([w.flatten() for w in weights]))
