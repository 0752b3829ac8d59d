"""The natural gradient itself, of the whole Fisher, in closed form: for small networks and for reference."""

from collections.abc import Sequence

from torch import Tensor

from nglab.curvature.fisher import Fisher
from nglab.curvature.solvers.pseudo_inverse import PseudoInverse
from nglab.errors import InputError
from nglab.likelihoods.given_targets import GAUSSIAN, given_likelihood, given_targets
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers, to_vector
from nglab.networks.network import Network
from nglab.networks.passes import gradient
from nglab.settings.building import value_of
from nglab.settings.fields import NonNegative

MOST = 10_000
"""Parameters of whose Fisher the eigenvalues are taken: 0.8 GB in float64."""


def natural_gradient(
    network: Network,
    params: Sequence[Tensor],
    x: Tensor,
    y: Tensor,
    likelihood: Likelihood | str = GAUSSIAN,
    damping: float = 0.0,
) -> Layers:
    """(F + λI)⁺ ∇h, by layer: exact, with the whole Fisher F `[P, P]` of the inputs x, no block or sample of it.

    ∇h is the gradient of h = (1/M) Σ −log r(y|z), z = f(x, θ), at inputs x `[..., M, n_0]` and targets y
    `[..., M, n_L]`, or classes `[..., M]` as whole numbers: a step against it, W_i − α times it, lowers the loss.
    `likelihood` is r, an object or a name, `Gaussian()` where it is left out. `damping` is λ, in the unit of F (the
    loss, over the square of the parameters'); 0, as in the paper, gives F⁺ ∇h, the shortest of the natural gradients:
    F is singular wherever parameters can be changed without changing f, and ∇h lies in its range. Eigenvalues up to P
    times the machine epsilon of the largest count as zero. The result is V_i `[n_i, n_{i−1} (+ 1)]`, in the unit of the
    parameters. Memory grows as P², time as P³.

    Raises InputError where an argument has another shape, dtype or device than it must have, λ is negative, there are
    more than 10 000 parameters, or F has no eigenvalues to be found.

    Source: Amari (1998); Bernacchia et al. (2018), Eq. 4. Of one linear layer it leads to the least squares at once:

    >>> import torch
    >>> network, x = Network([2, 1]), torch.tensor([[1.0, 2.0], [3.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    >>> y = x @ torch.tensor([[2.0], [-1.0]], dtype=torch.float64)
    >>> start = [torch.zeros(1, 2, dtype=torch.float64)]
    >>> (start[0] - natural_gradient(network, start, x, y)[0]).round(decimals=6)
    tensor([[ 2., -1.]], dtype=torch.float64)
    """
    value_of(NonNegative, damping, "damping")
    density = given_likelihood(likelihood)
    fisher = Fisher(network, params, x, density)
    if fisher.shape[-1] > MOST:
        raise InputError(
            f"network: has {fisher.shape[-1]} parameters: must be at most {MOST} for the whole Fisher;"
            " the optimizers train larger ones"
        )
    z = fisher.linearised.activations.output
    error = density.error(z, given_targets(y, z, density))
    descent = to_vector(gradient(network, fisher.params, x, error))
    solved = PseudoInverse(cutoff=None).solve(fisher, -descent, damping)
    if not solved.ok.all():
        raise InputError(
            "params: F has no finite eigenvalues here: the network's outputs are too large"
        )
    return Layers.from_vector(network, solved.x)
