"""From arguments to the method that steps: the settings of conf/optimizer, but what is given."""

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from nglab.errors import InputError
from nglab.optimizers.ngd import NGD
from nglab.settings.building import build
from nglab.settings.composing import compose

SETTING_OF = {
    "split": "metric.split",
    "average": "metric.average",
    "refresh_every": "metric.refresh",  # and metric.measure
    "step": "step_rule",
}
"""Arguments that are settings of other names."""


def method(
    option: str, damping: float | Mapping[str, Any] | None, step: str | None, **given: Any
) -> NGD:
    """`optimizer=<option>` with `optimizer/step_rule=<step>`; InputError that names the argument."""
    named = [] if step is None else [f"optimizer/step_rule={step}"]
    try:
        settings: Any = compose([f"optimizer={option}", *named]).optimizer
    except InputError as error:
        raise InputError(as_arguments(str(error))) from error
    if "examples" in settings.step_rule:
        settings.step_rule.examples = None  # a closure has but whole batches
    if damping is not None:
        of_rule = damping if isinstance(damping, Mapping) else {"initial": damping}
        given |= {f"damping.{key}": value for key, value in of_rule.items()}
    given["metric.measure"] = given["refresh_every"]
    for name, value in given.items():
        if value is not None:
            OmegaConf.update(settings, SETTING_OF.get(name, name), value, force_add=True)
    try:
        built = build(NGD, OmegaConf.to_container(settings))
        built.damping.check("damping", None)
    except InputError as error:
        raise InputError(as_arguments(str(error))) from error
    return built


def as_arguments(message: str) -> str:
    """A message about settings, with the arguments that they are here."""
    message = message.removeprefix("optimizer/").removeprefix("optimizer.")
    for argument, setting in SETTING_OF.items():
        if message.startswith(f"{setting}="):
            return f"{argument}{message.removeprefix(setting)}"
    return message
