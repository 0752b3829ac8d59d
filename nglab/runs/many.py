"""Many runs as one table: what was configured, what came out, and what tells the runs apart."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nglab.runs.table import RunRecord
from nglab.settings.messages import LABELS
from nglab.settings.nested import leaves

if TYPE_CHECKING:
    import pandas as pd  # a list of runs is shown without it

BRINGS = {"arch": ("data", "likelihood", "dtype")}
"""What an option of a group brings with it beside its own settings."""


def collect(records: Iterable[RunRecord]) -> "pd.DataFrame":
    """A row per run: folder, status, the configuration's dotted keys, the summary's fields.

    Where both name a thing (device, dtype, seed) the summary's value stands: what was used.
    """
    import pandas as pd

    return pd.DataFrame(map(collect_row, records))


def collect_row(record: RunRecord) -> dict[str, Any]:
    summary = {key: value for key, value in record.summary.items() if key != "traceback"}
    row = {"folder": str(record.folder), "status": summary.pop("status")}
    return row | flatten(record.settings) | flatten(summary)


def flatten(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested keys dotted, lists as text: {"optimizer.lr": 0.04, "arch.widths": "20-30-20", …}."""
    return {k: "-".join(map(str, v)) if isinstance(v, list) else v for k, v in leaves(settings)}


def common_root(folders: Sequence[Path]) -> Path:
    """The folder that holds all of them; of one, the one around it."""
    return Path(os.path.commonpath([folder.parent for folder in folders]))


def differing_keys(configs: Sequence[dict[str, Any]]) -> list[str]:
    """The keys whose values tell flattened configurations apart, choices of options first, `seed` aside.

    What an option brings with it is not mentioned where the option's name alone tells its value.
    """
    keys = list(dict.fromkeys(key for config in configs for key in config))
    differ = [k for k in keys if k != "seed" and len({config.get(k) for config in configs}) > 1]
    for name in sorted(filter(is_choice, differ), key=outermost_first):
        if name in differ:
            differ = [k for k in differ if k == name or not follows(k, name, configs)]
    return sorted(differ, key=lambda k: (not is_choice(k), k.count(".") if is_choice(k) else 0))


def outermost_first(name: str) -> tuple[int, bool]:
    """To sort choices by: a group before what lies in it, its name before its class."""
    return name.count("."), name.endswith("_target_")


def is_choice(key: str) -> bool:
    """Whether a key says which option of a group was chosen: by its name, or where it has none by its class."""
    return key.rpartition(".")[2] in LABELS


def follows(key: str, name: str, configs: Sequence[dict[str, Any]]) -> bool:
    """Whether the choice `name` alone tells the value of `key`, one of those it brings with it."""
    group = name.rpartition(".")[0]
    brought = any(f"{key}.".startswith(f"{place}.") for place in (group, *BRINGS.get(group, ())))
    pairs = {(config.get(name), config.get(key)) for config in configs}
    return brought and len(pairs) == len({value for value, _ in pairs})


def describe(config: dict[str, Any], keys: Sequence[str]) -> str:
    """What `keys` say of one configuration: "ngd, step_rule=line, lr=0.5, damping.initial=0.01"."""
    return ", ".join(_setting(config, key) for key in keys if key in config)


def _setting(config: dict[str, Any], key: str) -> str:
    value, group = config[key], key.rpartition(".")[0]
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    if is_choice(key):
        text = text.rpartition(".")[2]
        return f"{group.rpartition('.')[2]}={text}" if "." in group else text
    text = text if len(text) <= 24 else f"{text[:11]}…{text[-11:]}"
    short = key.split(".", 1)[-1]
    unique = sum(other.split(".", 1)[-1] == short for other in config) == 1
    return f"{short if unique else key}={text}"
