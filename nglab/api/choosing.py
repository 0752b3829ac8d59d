"""The options of the YAML files as objects, by their names."""

from typing import Any

from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.network import Network
from nglab.optimizers.optimizer import Optimizer
from nglab.settings.defaults import option


def optimizer(name: str, **settings: Any) -> Optimizer:
    """The method of `conf/optimizer/<name>.yaml`, W ← W + ΔW with what the file says and the `settings` instead.

    A group of settings is an object, the name of an option, or a mapping of what is to be other than in the file: the
    meanings, units and ranges are those of `nglab run --help optimizer=<name>`, rates are for the mean loss of a batch.
    Each W_i is `[n_i, n_{i−1} (+ 1)]`.

    Raises InputError where there is no such method, and where a setting is unknown, of another type or out of range.

    Source: each method's page in the documentation names its own.

    >>> import nglab as ng
    >>> ng.optimizer("kfac", damping={"initial": 1.0}).damping.initial
    1.0
    >>> ng.optimizer("momentum", lr=0.02, schedule="cosine").schedule
    Cosine(warm_up=0, final=0.0)
    """
    return option("optimizer", name, Optimizer, **settings)


def likelihood(name: str, **settings: Any) -> Likelihood:
    """The density r(y|z) of `conf/likelihood/<name>.yaml`, whose mean −log r(y|z) over examples is the loss, in nats.

    The network's outputs z are `[..., M, n_L]`, one example a row.

    Raises InputError where there is no such density, and where a setting is unknown, of another type or out of range.

    Source: Martens (2014), §8.

    >>> import nglab as ng
    >>> ng.likelihood("student_t", degrees=3.0)
    StudentT(degrees=3.0, scale=1.0)
    """
    return option("likelihood", name, Likelihood, **settings)


def network(name: str, **settings: Any) -> Network:
    """The network of `conf/arch/<name>.yaml`: x_i = φ(W_i x_{i−1} + b_i), with W_i `[n_i, n_{i−1}]`; see `Network`.

    Raises InputError where there is no such architecture, or a setting is wrong. What the file names beside, data, a
    density and a precision, is for `train` to be told.

    Source: Bernacchia et al. (2018), Figure 1, for `square`, `expanding`, `bottleneck` and `mnist_autoencoder`. They
    have no loss of their own, and their weights no unit.

    >>> import nglab as ng
    >>> ng.network("mlp", widths=[4, 3, 2])
    Network(widths=(4, 3, 2), activation='tanh', bias=True)
    """
    return option("arch", name, Network, **settings)
