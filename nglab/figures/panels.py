"""The panels of a figure from its configuration: those asked for, each checked."""

from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from nglab.figures.race.race_protocol import chosen_of, groups_of
from nglab.settings.building import build, value_of
from nglab.settings.fields import Count

Panel = TypeVar("Panel")


def panels_of(config: DictConfig, kind: type[Panel]) -> dict[str, Panel]:
    """`panel.A`, `panel.B`, … of those that `panels` names, by name; `seeds` in place of their own where it is given.

    InputError at the first key that is wrong. A `kind` with a `check(key, run)` looks at what concerns several keys.
    """
    values: Any = OmegaConf.to_container(config, resolve=True)
    known = groups_of("panel", values["panel"])
    names = chosen_of("panels", values["panels"], known)
    seeds = value_of(Count | None, values["seeds"], "seeds")
    shared = {} if seeds is None else {"seeds": seeds}
    panels = {name: build(kind, {**known[name], **shared}, f"panel.{name}") for name in names}
    for name, panel in panels.items():
        if hasattr(panel, "check"):
            panel.check(f"panel.{name}", panel)
    return dict(sorted(panels.items()))
