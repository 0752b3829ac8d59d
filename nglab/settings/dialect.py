"""The one dialect of the subcommands: folders are positions, everything else is `key=value`.

`--key value` and `--key=value` mean what `key=value` means. `nglab run` has Hydra's command line, in which `out=DIR`
stands for the folder of the run or of the sweep.
"""

import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import cleandoc
from pathlib import Path
from types import MappingProxyType

from nglab.errors import InputError
from nglab.settings.messages import near


@dataclass(frozen=True)
class Arguments:
    """What a command line says: its positions in order, its settings, and those that may be given several times."""

    positions: list[str]
    settings: dict[str, str]
    lists: dict[str, list[str]] = field(default_factory=dict)

    @property
    def overrides(self) -> list[str]:
        """The settings as Hydra takes them; the name of a folder may have any character."""
        values = {key: quoted(v) if key == "out" else v for key, v in self.settings.items()}
        return [f"{key}={value}" for key, value in values.items()]

    def folder(self, key: str, default: str | Path) -> Path:
        return Path(self.settings.get(key, default))


def read(
    command: str,
    help: str,
    arguments: Sequence[str],
    keys: Mapping[str, str],
    positions: str = "",
    least: int = 0,
    more_keys: bool = False,
    several: Collection[str] = (),
    alone: Mapping[str, str] = MappingProxyType({}),
) -> Arguments:
    """The arguments of `nglab command`; `--help` prints what there is and leaves.

    `keys` are the settings, name → what they mean; `more_keys`: others are for who reads the configuration to refuse.
    `positions` names what a position is, a last "..." that there may be several, and `least` how many there must be.
    Keys of `several` may be given more than once; `--key` of `alone` takes no word and means its value there.
    Raises InputError for a key that is not there or there twice, for a position too many and for one that is missing.
    """
    found: list[str] = []
    settings: dict[str, str] = {}
    lists: dict[str, list[str]] = {key: [] for key in several}
    for word in words(arguments, alone):
        if word in ("-h", "--help"):
            print(usage(command, help, keys, positions))
            sys.exit(0)
        key, equals, value = word.partition("=")
        if not equals or (key not in keys and positions and os.path.exists(word)):
            found.append(word)
        elif key not in keys and not more_keys:
            raise InputError(f"{key}: no such key; {near(key, list(keys))}")
        elif not value:
            raise InputError(f"{word}: must be {key}=VALUE{meant(keys.get(key))}")
        elif key in lists:
            lists[key].append(value)
        elif key in settings:
            raise InputError(f"{word}: {key}={settings[key]} is given already: give one of them")
        else:
            settings[key] = value
    most = 0 if not positions else len(found) if positions.endswith("...") else 1
    if len(found) > most:
        raise InputError(
            f"{found[most]}: must be key=value; {usage_line(command, keys, positions)}"
        )
    if len(found) < least:
        raise InputError(f"{positions} is missing; {usage_line(command, keys, positions)}")
    return Arguments(found, settings, lists)


def meant(meaning: str | None) -> str:
    return f", {meaning}" if meaning else ""


def words(arguments: Sequence[str], alone: Mapping[str, str]) -> Iterator[str]:
    """`--key value` and `--key=value` as `key=value`, `--key` of `alone` with its value there; the rest as it is."""
    rest = iter(arguments)
    for word in rest:
        if re.match(r"--\w", word) and word != "--help":
            word = word.removeprefix("--")
            value = "" if "=" in word else alone[word] if word in alone else next(rest, "")
            yield word if "=" in word else f"{word}={value}"
        else:
            yield word


def quoted(text: object) -> str:
    """As a value in Hydra's grammar, where a backslash stands for itself unless a quote follows."""
    return "'" + str(text).replace("'", "\\'") + "'"


def usage_line(command: str, keys: Mapping[str, str], positions: str) -> str:
    parts = [positions, *(f"[{key}=…]" for key in keys)]
    return " ".join(["usage: nglab", command, *filter(None, parts)])


def usage(command: str, help: str, keys: Mapping[str, str], positions: str) -> str:
    """What `nglab command --help` shows."""
    listed = [f"  {key + '=…':22}{meaning}" for key, meaning in keys.items()]
    keys_shown = ["", "keys (also as --key value):", *listed] if listed else []
    return "\n".join([usage_line(command, keys, positions), "", cleandoc(help), *keys_shown])
