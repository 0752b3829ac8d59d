"""In place of the bench's processes one whose work is done here, so that what a test has set up holds; contenders."""

from collections.abc import Callable
from typing import Any

from nglab.bench.processes import Worker


class SameProcess(Worker):
    def __init__(self, blas: str) -> None:
        self.blas, self.lifted = blas, blas == "lifted"

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)


class Unsendable(Exception):
    """An exception that another process cannot make again from what it is told of it."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def broken() -> Callable[[], object]:
    raise Unsendable("too", "many")


def idle() -> Callable[[], object]:
    return lambda: None
