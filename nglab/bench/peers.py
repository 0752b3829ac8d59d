"""PyTorch's libraries with a K-FAC-type step, each doing one on the same network and batch.

All refresh curvature and inverses at each step, from one sampled target an example, with a fixed damping λ and
α = 1/L; nglab's step besides re-evaluates the loss and adapts λ. An adapter raises where its library is missing or
breaks: `timing.measure` reports that.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nglab.bench.cases import Case, sequential
from nglab.bench.steps import Maker, half_squared_error
from nglab.bench.timing import Step

DAMPING = 1e-2


def move_(model: nn.Module, directions: Sequence[Tensor], case: Case) -> Sequence[Tensor]:
    """W ← W − α d; returns the parameters."""
    parameters = list(model.parameters())
    with torch.no_grad():
        for w, d in zip(parameters, directions, strict=True):
            w.sub_(d.view_as(w), alpha=case.lr)
    return parameters


def curvlinops_step(case: Case) -> Step:
    """KFACLinearOperator and its inverse by Cholesky."""
    from curvlinops import KFACInverseLinearOperator, KFACLinearOperator

    model, x, y = sequential(case), case.x[0], case.y[0]
    parameters = list(model.parameters())

    def step() -> Sequence[Tensor]:
        kfac = KFACLinearOperator(
            model, nn.MSELoss(), parameters, [(x, y)],
            check_deterministic=False, separate_weight_and_bias=False,
            num_data=len(x), num_per_example_loss_terms=1,
        )  # fmt: skip
        inverse = KFACInverseLinearOperator(kfac, damping=DAMPING, use_heuristic_damping=True)
        gradient = torch.autograd.grad(nn.functional.mse_loss(model(x), y), parameters)
        return move_(model, inverse @ list(gradient), case)

    return step


def asdfghjkl_step(case: Case) -> Step:
    """KfacGradientMaker, Fisher by Monte Carlo."""
    from asdl import KfacGradientMaker, PreconditioningConfig

    model, x, y = sequential(case), case.x[0], case.y[0]
    config = PreconditioningConfig(data_size=len(x), damping=DAMPING)
    maker = KfacGradientMaker(model, config, fisher_type="fisher_mc", loss_type="mse")
    optimizer = torch.optim.SGD(model.parameters(), lr=case.lr)

    def step() -> Sequence[Tensor]:
        optimizer.zero_grad()
        maker.setup_loss_call(nn.MSELoss(), maker.setup_model_call(model, x), y)
        maker.forward_and_backward()
        optimizer.step()
        return list(model.parameters())

    return step


def nngeometry_step(case: Case) -> Step:
    """PMatKFAC of Σ z·ξ, ξ ~ N(0, I): the library samples no Gaussian targets itself."""
    from nngeometry.backend import TorchHooksJacobianBackend
    from nngeometry.layercollection import LayerCollection
    from nngeometry.object import PMatKFAC, PVector
    from torch.utils.data import DataLoader, TensorDataset

    model, x, y = sequential(case), case.x[0], case.y[0]
    layers = LayerCollection.from_model(model)

    def sampled(*batch: Tensor) -> Tensor:
        z = model(batch[0])
        return (z * torch.randn_like(z)).sum(1, keepdim=True)

    backend = TorchHooksJacobianBackend(layer_collection=layers, model=model, function=sampled)
    loader = DataLoader(TensorDataset(x, y), batch_size=len(x))

    def step() -> Sequence[Tensor]:
        kfac = PMatKFAC(generator=backend, examples=loader)
        model.zero_grad()
        half_squared_error(model(x), y).backward()
        parameters = iter(model.parameters())
        gradient = {key: tuple(next(parameters).grad for _ in range(1 + case.network.bias))
                    for key in layers.layers}  # fmt: skip
        natural = kfac.inverse(DAMPING).mv(PVector(layers, dict_repr=gradient))
        return move_(model, [d for part in natural.to_dict().values() for d in part], case)

    return step


def backpack_step(case: Case) -> Step:
    """The KFAC extension; the factors of W and b are inverted apart, as the library has them."""
    from backpack import backpack, extend
    from backpack.extensions import KFAC
    from backpack.utils.kroneckers import apply_kfac_mat_prod, inv_kfacs

    model, x, y = extend(sequential(case)), case.x[0], case.y[0]
    loss = extend(nn.MSELoss())

    def step() -> Sequence[Tensor]:
        model.zero_grad()
        with backpack(KFAC(mc_samples=1)):
            loss(model(x), y).backward()
        with torch.no_grad():
            natural = [apply_kfac_mat_prod(inv_kfacs(w.kfac, shift=DAMPING), w.grad.flatten())
                       for w in model.parameters()]  # fmt: skip
        return move_(model, natural, case)

    return step


PEERS: dict[str, Maker] = {
    "curvlinops": curvlinops_step,
    "asdfghjkl": asdfghjkl_step,
    "nngeometry": nngeometry_step,
    "backpack": backpack_step,
}
DISTRIBUTIONS = [
    "curvlinops-for-pytorch", "asdfghjkl", "nngeometry", "backpack-for-pytorch", "kfac-jax", "jax",
]  # fmt: skip
"""What the extra `bench` installs."""
