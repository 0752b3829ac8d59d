"""The vendor check is answered at the first import of torch, where that applies, and nothing is done before it."""

from pathlib import Path

import pytest
from fresh_python import APPLIES, CAN_BE, python, said, torch_stub

from nglab.native.library import ready

ANSWERED = "import nglab, torch; print(torch.answered)"


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    return torch_stub(tmp_path)


def test_the_check_is_answered_where_it_applies(stub: Path) -> None:
    assert said(ANSWERED, stub) == str(CAN_BE)
    assert said(ANSWERED, stub, NGLAB_MKL="lifted") == str(CAN_BE)


def test_the_users_variable_leaves_it_as_it_is(stub: Path) -> None:
    assert said(ANSWERED, stub, NGLAB_MKL="vendor") == "False"


def test_another_value_is_refused(stub: Path) -> None:
    done = python(ANSWERED, stub, NGLAB_MKL="fast")
    assert done.returncode and "NGLAB_MKL=fast: must be lifted or vendor" in done.stderr


def test_after_torch_it_is_too_late(stub: Path) -> None:
    program = """
import sys, torch, nglab
from nglab.native.vendor_check import lift
lift()
import ctypes
print(hasattr(ctypes.CDLL(None), "mkl_serv_intel_cpu_true"))
print([finder for finder in sys.meta_path if type(finder).__module__.startswith("nglab")])
"""
    assert said(program, stub) == "False\n[]"


def test_whoever_asks_for_torch_is_served_once(stub: Path) -> None:
    program = """
import sys, nglab
before = list(sys.meta_path)
import torch
print([type(finder).__name__ for finder in before if finder not in sys.meta_path])
"""
    assert said(program, stub) == "['BeforeTorch']"


def test_without_torch_nothing_is_done(stub: Path, tmp_path: Path) -> None:
    program = """
import sys
from nglab.cli import main
main(["--help"])
print(sorted({"torch", "nglab.native.vendor_check"} & set(sys.modules)))
"""
    assert said(program, stub, XDG_CACHE_HOME=str(tmp_path / "cache")).endswith("[]")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("without", [{"PATH": ""}, {"CC": "false"}])
def test_without_a_compiler_nothing_is_done_and_nothing_said(
    without: dict[str, str], stub: Path, tmp_path: Path
) -> None:
    answered = said(ANSWERED, stub, XDG_CACHE_HOME=str(tmp_path / "cache"), **without)
    assert answered == str(bool(APPLIES and ready("vendor_check")))


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_a_process_forked_or_spawned_has_it_too(way: str, stub: Path) -> None:
    (stub / "asked.py").write_text("""
import nglab
def answered():
    import torch
    print(torch.answered)
""")
    program = f"""
import multiprocessing, asked
process = multiprocessing.get_context("{way}").Process(target=asked.answered)
process.start()
process.join()
"""
    assert said(program, stub) == str(CAN_BE)
