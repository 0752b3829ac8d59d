"""A model's output and targets as the likelihoods take them: an example a row."""

from torch import Tensor
from torch.nn.functional import one_hot

from nglab.errors import InputError
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.likelihood import Likelihood
from nglab.settings.messages import one_of

LIKELIHOODS = {"gaussian": Gaussian, "categorical": Categorical}


def likelihood_of(name: str | Likelihood) -> Likelihood:
    if isinstance(name, Likelihood):
        return name
    if name not in LIKELIHOODS:
        raise InputError(f"likelihood={name}: must be {one_of(LIKELIHOODS)}, or a Likelihood")
    return LIKELIHOODS[name]()


def rows_of(likelihood: Likelihood, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """z and y `[M, n]`: an output of more axes is n numbers an example; classes may be whole numbers `[M]`."""
    z = output.detach().flatten(1)
    if target.dim() == 1 and not target.is_floating_point() and output.dim() == 2:
        if "real" in likelihood.takes:
            raise InputError(
                f"the closure's target: is whole numbers {list(target.shape)}, must be real numbers"
                f" {list(output.shape)} for a {type(likelihood).__name__} likelihood"
            )
        return z, one_hot(target, z.shape[1]).to(z.dtype)
    if target.shape != output.shape:
        raise InputError(
            f"the closure's target: is {list(target.shape)}, must be {list(output.shape)} as the output"
        )
    return z, target.to(z.dtype).flatten(1)
