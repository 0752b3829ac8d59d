"""From arguments to the method that steps: the settings of conf/optimizer, but what is given."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from nglab.errors import InputError
from nglab.optimizers.ngd import NGD
from nglab.settings.defaults import option

SETTING_OF = {
    "split": "metric.split",
    "average": "metric.average",
    "refresh_every": "metric.refresh",
    "step": "step_rule",
}
"""Arguments that are settings of other names."""


def method(
    name: str,
    damping: float | Mapping[str, Any] | None,
    step: str | None,
    refresh_every: int | None,
    split: str | None,
    average: float | None,
    **given: Any,
) -> NGD:
    """`optimizer=<name>`; InputError that names the argument."""
    metric = {"split": split, "average": average, "refresh": refresh_every}
    metric["measure"] = refresh_every
    rule = damping if isinstance(damping, Mapping) or damping is None else {"initial": damping}
    given |= {"metric": less_none(metric), "damping": rule, "step_rule": step}
    try:
        built = option("optimizer", name, NGD, **less_none(given))
        built.damping.check("damping", None)
    except InputError as error:
        raise InputError(as_arguments(str(error))) from error
    if "examples" in {f.name for f in fields(built.step_rule)}:  # a closure has but whole batches
        return replace(built, step_rule=replace(built.step_rule, examples=None))
    return built


def less_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def as_arguments(message: str) -> str:
    """A message about settings, with the arguments that they are here."""
    message = message.removeprefix("optimizer/").replace("optimizer.", "")
    for argument, setting in SETTING_OF.items():
        if message.startswith(f"{setting}="):
            return f"{argument}{message.removeprefix(setting)}"
    return message
