"""A model's output and targets as the likelihoods take them: an example a row."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import one_hot

from nglab.errors import InputError
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.likelihood import Likelihood
from nglab.settings.messages import one_of

TARGET = "the closure's target"
LIKELIHOODS = {"gaussian": Gaussian, "categorical": Categorical}


def likelihood_of(name: str | Likelihood) -> Likelihood:
    if not isinstance(name, str):
        return name
    if name not in LIKELIHOODS:
        raise InputError(f"likelihood={name}: must be {one_of(LIKELIHOODS)}, or a Likelihood")
    return LIKELIHOODS[name]()


def rows_of(likelihood: Likelihood, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """z and y `[M, n]`: an output of more axes is n numbers an example; classes may be whole numbers `[M]`.

    Raises InputError where the target does not fit the output.
    """
    z = output.detach().flatten(1)
    if is_classes(likelihood, target):
        demand_shape(target, output.shape[:1])
        demand_classes(target, z.shape[1])
        return z, one_hot(target, z.shape[1]).to(z.dtype)
    demand_shape(target, output.shape)
    if not target.is_floating_point():
        raise InputError(f"{TARGET}: is {target.dtype}, must be real numbers")
    return z, target.to(z.dtype).flatten(1)


def is_classes(likelihood: Likelihood, target: Tensor) -> bool:
    whole = target.dim() == 1 and not target.is_floating_point()
    return whole and "real" not in likelihood.takes


def demand_shape(target: Tensor, shape: Sequence[int]) -> None:
    if list(target.shape) != list(shape):
        raise InputError(
            f"{TARGET}: is {list(target.shape)}, must be {list(shape)} for this output"
        )


def demand_classes(target: Tensor, classes: int) -> None:
    """Of what lies on a GPU `one_hot` asks it."""
    if target.is_cpu and len(target) and (target.min() < 0 or target.max() >= classes):
        wrong = int(target.min() if target.min() < 0 else target.max())
        raise InputError(f"{TARGET}: has the class {wrong}, must be from 0 to {classes - 1}")
