"""What is said of wrong input: the key, what is wrong, and what would be right."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from nglab.errors import InputError

LABELS = ("_target_", "name")
"""Which class a YAML file is of, and what it is called in tables and pictures."""

BESIDE = (*LABELS, "grid")
"""Keys of a YAML file beside the settings: its labels, and what `nglab race` searches."""


def demand(right: bool, key: str, value: object, wanted: str) -> None:
    """InputError "key=value: must be wanted", unless it is `right`."""
    if not right:
        raise InputError(f"{key}={value}: must be {wanted}")


def demand_kind(value: object, kind: type, key: str, such_as: str) -> None:
    """InputError unless `value` is an object of the class `kind`."""
    if not isinstance(value, kind):
        right = f"{a(kind.__name__)}, such as {such_as}"
        raise InputError(f"{key}: is {a_kind(value)}: must be {right}")


def a_kind(value: object) -> str:
    """What `value` is: "a list", "the class SGD"."""
    return f"the class {value.__name__}" if isinstance(value, type) else a(type(value).__name__)


def a(noun: str) -> str:
    """With its article: "a list", "an int"."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def one_of(names: Iterable[object]) -> str:
    return f"one of {', '.join(map(str, names))}"


def unknown_key(key: str, known: Collection[str]) -> str:
    """The message for a key that cannot be set, with the nearest of the `known` keys."""
    if key.startswith("hydra"):
        return f"{key}: no such key; nglab run --cfg hydra shows Hydra's"
    return f"{key}: no such key; {near(key, known)}"


def near(word: str, known: Collection[str]) -> str:
    """The `known` words whose last part is nearest, as a question; else those beside it."""
    if close := nearest(word, known):
        return f"did you mean {' or '.join(close)}?"
    siblings = [key for key in known if key.startswith(word.partition(".")[0] + ".")]
    return f"there are {', '.join(siblings or (key for key in known if '.' not in key))}"


def meant(word: object, known: Collection[str]) -> str:
    """What is added to a message where one of `known` is near: "; did you mean tanh?"."""
    close = nearest(word, known) if isinstance(word, str) else []
    return f"; did you mean {' or '.join(close)}?" if close else ""


def nearest(word: str, known: Collection[str]) -> list[str]:
    """The `known` words whose last part is nearest, those as deep as `word` where there are such; none that is near."""
    ending = {key: key.rpartition(".")[2] for key in (word, *known)}
    match = get_close_matches(ending[word], [ending[key] for key in known], n=1)
    close = [key for key in known if ending[key] in match]
    return [key for key in close if key.count(".") == word.count(".")] or close
