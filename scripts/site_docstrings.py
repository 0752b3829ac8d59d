"""How the reference reads nglab's docstrings: a griffe extension, named in mkdocs.yml."""

import ast
import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Settings are documented by their lines of help, examples are blocks of code."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """`name: Positive = setting("help")` is `name: Positive`, with the help as its docstring."""
        call = ast.parse(str(attr.value or "None"), mode="eval").body
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "setting":
            attr.docstring = griffe.Docstring(words(call.args[0]), parent=attr)
            attr.value = None

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def words(text: ast.expr) -> str:
    """The line of help, also where it is put together."""
    if isinstance(text, ast.JoinedStr):
        return "".join(words(part) for part in text.values)
    return str(text.value) if isinstance(text, ast.Constant) else "…"


def fenced(text: str) -> str:
    """What doctest runs, up to the next empty line, between fences."""
    return re.sub(
        r"^>>> (?:.+\n?)+", lambda m: f"```pycon\n{m[0].rstrip()}\n```\n", text, flags=re.M
    )
