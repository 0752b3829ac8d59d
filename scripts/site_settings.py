"""The reference shows a setting by its line of help: a griffe extension, named in mkdocs.yml."""

import ast
from typing import Any

import griffe


class Settings(griffe.Extension):
    """`name: Positive = setting("help")` is documented as `name: Positive` with the help as its docstring."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        call = ast.parse(str(attr.value or "None"), mode="eval").body
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "setting":
            attr.docstring = griffe.Docstring(words(call.args[0]), parent=attr)
            attr.value = None


def words(text: ast.expr) -> str:
    """The line of help, also where it is put together."""
    if isinstance(text, ast.JoinedStr):
        return "".join(words(part) for part in text.values)
    return str(text.value) if isinstance(text, ast.Constant) else "…"
