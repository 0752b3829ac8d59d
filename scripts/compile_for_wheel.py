"""What hatchling runs when it builds a wheel: the C of nglab, compiled, so that the wheel needs no compiler.

For x86-64 Linux each level of instructions has its library. Without a compiler the wheel is pure Python.
"""

import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

INSIDE = "nglab/native/lib"


class CompileForWheel(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Not for an editable install (`version`), which compiles at first use."""
        if version != "editable":
            sys.path.insert(0, self.root)
            self.made = tempfile.TemporaryDirectory()
            compiled = {str(file): f"{INSIDE}/{file.name}" for file in libraries(self.made.name)}
            if compiled:
                build_data["force_include"] |= compiled
                build_data["pure_python"] = False
                build_data["tag"] = f"py3-none-{this_platform()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self.made.cleanup()


def libraries(folder: str) -> Iterator[Path]:
    """Those that could be compiled, in `folder`."""
    from nglab.native.compiler import compile_to
    from nglab.native.instruction_set import LEVELS, compiler_flags
    from nglab.native.library import KERNELS, VENDOR_CHECK

    x86_64_linux = (sys.platform, platform.machine()) == ("linux", "x86_64")
    levels = LEVELS if x86_64_linux else ["baseline"]
    wanted = [(f"kernels-{level}", KERNELS, compiler_flags(level)) for level in levels if KERNELS]
    if x86_64_linux:
        wanted.append(("vendor_check", [VENDOR_CHECK], []))
    for name, sources, flags in wanted:
        file = Path(folder) / f"{name}.so"
        if compile_to(file, sources, flags):
            yield file


def this_platform() -> str:
    """Such as linux_x86_64: for machines like this one."""
    return next(tag for tag in platform_tags() if not tag.startswith(("manylinux", "musllinux")))
