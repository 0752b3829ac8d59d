"""nglab: a laboratory for natural-gradient descent.

The public names are imported when they are first used, so that `import nglab` costs nothing.
"""

from nglab.native.before_torch import watch

watch()

__version__ = "0.1.0"

PUBLIC = {
    "train": "nglab.api.train_network",
    "run": "nglab.api.command_line",
    "read_run": "nglab.api.reading",
    "read_runs": "nglab.api.reading",
    "plot_runs": "nglab.api.comparing",
    "Network": "nglab.networks.network",
    "network": "nglab.api.choosing",
    "Layers": "nglab.networks.layers",
    "initial_parameters": "nglab.api.starting",
    "predict": "nglab.api.predicting",
    "Teacher": "nglab.data.teacher",
    "MNIST": "nglab.data.mnist:MnistImages",
    "MNISTDigits": "nglab.data.mnist_digits:MnistDigits",
    "Dataset": "nglab.data.dataset",
    "dataset": "nglab.api.starting",
    "Gaussian": "nglab.likelihoods.gaussian",
    "Categorical": "nglab.likelihoods.categorical",
    "Bernoulli": "nglab.likelihoods.bernoulli",
    "StudentT": "nglab.likelihoods.student_t",
    "likelihood": "nglab.api.choosing",
    "SGD": "nglab.optimizers.sgd",
    "NGD": "nglab.optimizers.ngd",
    "optimizer": "nglab.api.choosing",
    "Fisher": "nglab.curvature.fisher",
    "EmpiricalFisher": "nglab.curvature.empirical_fisher",
    "GGN": "nglab.curvature.ggn",
    "Hessian": "nglab.curvature.hessian",
    "natural_gradient": "nglab.curvature.natural_gradient",
    "Optimizer": "nglab.optimizers.optimizer",
    "Likelihood": "nglab.likelihoods.likelihood",
    "DataSource": "nglab.data.source",
    "InputError": "nglab.errors",
}
"""Public name → the module that it stands in, and after a colon what it is called there."""

__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "torch":  # ng.torch.NGD
        return import_module("nglab.torch")
    if name not in PUBLIC:
        meant = import_module("nglab.settings.messages").meant(name, __all__)
        raise AttributeError(f"module 'nglab' has no attribute {name!r}{meant}")
    module, _, own = PUBLIC[name].partition(":")
    return getattr(import_module(module), own or name)


def __dir__() -> list[str]:
    return __all__
