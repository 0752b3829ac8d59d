"""Shared libraries out of C, by the system's compiler, built once and kept in the user's cache.

Whatever is missing, a compiler, a place to write to, a source that compiles, the answer is None and nothing is said:
all that is compiled has a way to do without.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

COMMON = ("-O3", "-fPIC", "-shared")
SECONDS = 120  # a compiler that takes longer is given up


def build(sources: Sequence[Path], flags: Sequence[str] = ()) -> Path | None:
    """The shared library of `sources` in the user's cache, compiled unless it is there; None where it cannot be had.

    `flags` come after `COMMON`, so they win over it (`-O1`, `-fsanitize=address`). A library is kept under a hash of
    all that it depends on: the sources, the headers beside them, the flags and the compiler.
    """
    command = compiler()
    if command is None:
        return None
    try:
        target = cache_folder() / f"{sources[0].stem}-{key(sources, command, flags)}.so"
        return target if target.exists() or compile_to(target, sources, flags) else None
    except (OSError, RuntimeError):  # unreadable, unwritable, or the user has no home
        return None


def compiler() -> list[str] | None:
    """The C compiler's command, its program by its whole path: `$CC`, else the first of cc, gcc and clang there is."""
    asked = shlex.split(os.environ.get("CC", ""))
    for name, *options in [asked] if asked else [["cc"], ["gcc"], ["clang"]]:
        if program := shutil.which(name):
            return [program, *options]
    return None


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/nglab`, else `~/.cache/nglab`; made where it is not."""
    above = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(above) / "nglab"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def key(sources: Sequence[Path], command: Sequence[str], flags: Sequence[str]) -> str:
    """A hash of what a library depends on; the compiler stands for its version by its file's path, size and time."""
    program = Path(command[0]).resolve()
    facts = program.stat()
    digest = hashlib.sha256(repr([program, facts.st_size, facts.st_mtime_ns]).encode())
    digest.update(repr([command[1:], [*COMMON, *flags]]).encode())
    headers = sorted({header for source in sources for header in source.parent.glob("*.h")})
    for file in [*sources, *headers]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:20]


def compile_to(target: Path, sources: Sequence[Path], flags: Sequence[str] = ()) -> bool:
    """Compile `sources` into `target`, which is there whole or not at all; whether it could be done."""
    command = compiler()
    if command is None:
        return False
    with tempfile.TemporaryDirectory(
        dir=target.parent
    ) as folder:  # of processes at once, each has its own
        made = Path(folder) / target.name
        run = [*command, *COMMON, *flags, "-o", str(made), *map(str, sources), "-lm"]
        try:
            subprocess.run(run, check=True, capture_output=True, timeout=SECONDS)
        except subprocess.SubprocessError:
            return False
        os.replace(made, target)
    return True
