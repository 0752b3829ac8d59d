"""From the arguments of Python to a checked configuration: what is left out is as in conf/config.yaml."""

import re
from collections.abc import Mapping
from typing import Any

from nglab.api.given_data import GivenData, given_data, precision_of
from nglab.data.source import DataSource
from nglab.errors import InputError
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.network import Network
from nglab.optimizers.optimizer import Optimizer
from nglab.runs.config import Config, checked
from nglab.settings.defaults import chosen, composed, option_of, over
from nglab.settings.messages import demand_kind

ARGUMENTS = {
    r"\barch\b": "network",
    r"\btrain\.": "",
    r"\binit\.": "",
    r"\bdata\.(?=train_|test_)": "",
}
"""A key of the configuration, and the argument that it is."""

KINDS: dict[str, tuple[type, str]] = {
    "arch": (Network, "Network([20, 20])"),
    "likelihood": (Likelihood, "Gaussian()"),
    "optimizer": (Optimizer, "SGD(lr=0.1)"),
}
"""What stands in the place of a group that is no option's name, and an example."""


def configured(*, data: Any = None, dtype: str | None = None, **settings: Any) -> Config:
    """The configuration of these sections and keys; None is left out. InputError names the argument that is wrong."""
    if data is not None and not isinstance(data, DataSource | str | Mapping):
        data = given_data(data, dtype)
        dtype = dtype or precision_of(data)
    asked = without_none({"data": data, "dtype": dtype, **settings})
    try:
        for key, (kind, such_as) in KINDS.items():
            if not isinstance(asked.get(key, {}), str | Mapping):
                demand_kind(asked[key], kind, key, such_as)
        return checked(over(composed("", "", *choices(asked)), asked, ""))
    except InputError as error:
        raise InputError(by_argument(str(error))) from error


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """In groups too."""
    return {
        key: without_none(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }


def choices(asked: Mapping[str, Any]) -> list[str]:
    """The options that are named, and that of a data set of nglab's, which brings its precision."""
    kind: Any = type(asked.get("data"))
    place = None if kind is GivenData else option_of(kind)
    return [*chosen("", asked), *(["=".join(place)] if place else [])]


def by_argument(message: str) -> str:
    """A message about keys of the configuration as one about arguments."""
    for key, argument in ARGUMENTS.items():
        message = re.sub(key, argument, message)
    return message
