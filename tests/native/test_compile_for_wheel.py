"""What the wheel's build compiles, with no hatchling: a stand-in has what the hook inherits."""

from pathlib import Path

import pytest
from fresh_python import COMPILES, ROOT, said

SCRIPTS = ROOT / "scripts"
INTERFACE = """
class BuildHookInterface:
    def __init__(self, root):
        self.root = root
"""
PROGRAM = f"""
import platform, sys
from pathlib import Path
from compile_for_wheel import CompileForWheel
hook = CompileForWheel({str(ROOT)!r})
data = {{"force_include": {{}}}}
hook.initialize(VERSION, data)
there = all(Path(file).stat().st_size for file in data["force_include"])
wheels = sorted(data.pop("force_include").values())
hook.finalize(VERSION, data, "")
print(there, "nglab/native/lib/vendor_check.so" in wheels, data)
"""

pytestmark = pytest.mark.skipif(not SCRIPTS.exists(), reason="not a source tree")


@pytest.fixture
def hatchling(tmp_path: Path) -> Path:
    folder = tmp_path / "hatchling" / "builders" / "hooks" / "plugin"
    folder.mkdir(parents=True)
    (folder / "interface.py").write_text(INTERFACE)
    return tmp_path


@pytest.mark.skipif(not COMPILES, reason="there is no C compiler")
def test_a_wheel_has_what_could_be_compiled_and_is_for_machines_like_this(hatchling: Path) -> None:
    program = PROGRAM.replace("VERSION", "'standard'") + (
        "linux = (sys.platform, platform.machine()) == ('linux', 'x86_64')\nprint(linux)\n"
    )
    found, linux = said(program, hatchling, SCRIPTS).splitlines()
    assert found.startswith(f"True {linux}") or linux == "False"
    assert linux == "False" or "'pure_python': False, 'tag': 'py3-none-linux_x86_64'" in found


def test_an_editable_install_has_nothing_compiled(hatchling: Path) -> None:
    assert said(PROGRAM.replace("VERSION", "'editable'"), hatchling, SCRIPTS) == "True False {}"


def test_without_a_compiler_the_wheel_is_pure(hatchling: Path) -> None:
    program = PROGRAM.replace("VERSION", "'standard'")
    assert said(program, hatchling, SCRIPTS, CC="false") == "True False {}"
