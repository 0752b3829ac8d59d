"""nglab: a laboratory for natural-gradient descent.

The public names are imported when they are first used, so that `import nglab` costs nothing.
"""

from importlib import import_module

from nglab.native.before_torch import watch

watch()

__version__ = "0.1.0"

PUBLIC = {
    "Network": "nglab.networks.network",
    "Gaussian": "nglab.likelihoods.gaussian",
    "Categorical": "nglab.likelihoods.categorical",
    "Teacher": "nglab.data.teacher",
    "SGD": "nglab.optimizers.sgd",
    "NGD": "nglab.optimizers.ngd",
    "Optimizer": "nglab.optimizers.optimizer",
    "Likelihood": "nglab.likelihoods.likelihood",
    "DataSource": "nglab.data.source",
    "Problem": "nglab.training.problem",
    "train": "nglab.training.loop",
    "Fisher": "nglab.curvature.fisher",
    "GGN": "nglab.curvature.ggn",
    "Hessian": "nglab.curvature.hessian",
    "read_run": "nglab.runs.table",
}
"""Public name → the module that it stands in."""

__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> object:
    if name not in PUBLIC:
        raise AttributeError(f"module 'nglab' has no attribute {name!r}")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
