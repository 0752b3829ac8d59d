"""Where the kernels come from, and the functions of PyTorch's own library."""

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fresh_python import COMPILES

from nglab.errors import InputError
from nglab.native import library as module
from nglab.native.compiler import compile_to
from nglab.native.instruction_set import levels
from nglab.native.library import blas, level, library

needs_compiler = pytest.mark.skipif(not COMPILES, reason="there is no C compiler")


@pytest.fixture(autouse=True)
def looked_for_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One kernel, that of a source tree, with an empty cache and nothing built before."""
    (tmp_path / "kernel.c").write_text("int kernel(void) { return 1; }\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NGLAB_NATIVE", raising=False)
    monkeypatch.setattr(module, "KERNELS", [tmp_path / "kernel.c"])
    monkeypatch.setattr(module, "READY", tmp_path)
    forget()
    yield
    forget()


def forget() -> None:
    module.library.cache_clear()
    module.loaded.cache_clear()


def built_before(folder: Path, level: str) -> None:
    source = folder / "other.c"
    source.write_text("int kernel(void) { return 2; }\n")
    assert compile_to(folder / f"kernels-{level}.so", [source])


@needs_compiler
def test_kernels_are_compiled_for_this_processor() -> None:
    assert library().kernel() == 1
    assert level() == levels()[0]


@needs_compiler
def test_those_built_with_the_package_come_first(tmp_path: Path) -> None:
    built_before(tmp_path, levels()[0])
    assert library().kernel() == 2
    assert not (tmp_path / "cache").exists()


@needs_compiler
def test_without_a_compiler_those_of_a_lower_level_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_before(tmp_path, "baseline")
    monkeypatch.setenv("CC", "false")
    assert library().kernel() == 2
    assert level() == "baseline"


def test_one_made_for_another_system_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"kernels-{levels()[0]}.so").write_text("no library")
    monkeypatch.setenv("CC", "false")
    assert (library(), level()) == (None, "none")


def test_without_kernels_there_is_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KERNELS", [])
    assert (library(), level()) == (None, "none")


def test_they_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NGLAB_NATIVE", "off")
    assert (library(), level()) == (None, "none")


def test_another_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NGLAB_NATIVE", "no")
    with pytest.raises(InputError, match="NGLAB_NATIVE=no: must be on or off"):
        library()


def test_torchs_own_product_is_found_and_multiplies() -> None:
    """Column-major C = A B through the address, beside PyTorch's."""
    address = blas("dgemm_")
    if address is None:
        pytest.skip("PyTorch's BLAS does not export its functions")
    a, b = torch.rand(3, 4, dtype=torch.float64), torch.rand(4, 5, dtype=torch.float64)
    c = torch.empty(5, 3, dtype=torch.float64)
    m, n, k = (ctypes.byref(ctypes.c_int(size)) for size in (3, 5, 4))
    one, zero = (ctypes.byref(ctypes.c_double(value)) for value in (1, 0))
    columns = a.T.contiguous(), b.T.contiguous()
    at_a, at_b, at_c = (ctypes.c_void_p(x.data_ptr()) for x in (*columns, c))
    gemm = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(address)
    gemm(b"N", b"N", m, n, k, one, at_a, m, at_b, k, zero, at_c, m)
    torch.testing.assert_close(c.T, a @ b)


def test_what_it_does_not_have_has_no_address() -> None:
    assert blas("no_such_function_") is None
