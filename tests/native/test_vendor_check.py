"""What MKL does with its check answered is asked of MKL, and its products are right."""

import os

import pytest
import torch
from fresh_python import CAN_BE, said

from nglab.errors import InputError
from nglab.native import vendor_check as module
from nglab.native.vendor_check import (
    demand_right_products,
    exact,
    instructions,
    lifted,
    mkl_processor,
    wanted,
)

HAS_MKL = mkl_processor() is not None
TOLD = "from nglab.native.arithmetic import arithmetic; import torch; print(arithmetic()['blas'])"


def test_it_took_effect_here() -> None:
    """The tests' own process imports nglab before torch."""
    assert lifted() == (CAN_BE and HAS_MKL and os.environ.get("NGLAB_MKL") != "vendor")


def test_a_fresh_process_says_what_it_has() -> None:
    assert ("(vendor check lifted)" in said(TOLD)) == (CAN_BE and HAS_MKL)


def test_switched_off_it_is_not_there() -> None:
    assert "lifted" not in said(TOLD, NGLAB_MKL="vendor")


def test_a_joblib_worker_has_it_as_this_process_has() -> None:
    joblib = pytest.importorskip("joblib")
    from nglab.native.arithmetic import arithmetic

    workers = joblib.Parallel(n_jobs=2)(joblib.delayed(arithmetic)() for _ in range(2))
    assert workers == [arithmetic()] * 2


@pytest.mark.parametrize(
    ("described", "named"),
    [
        ("Intel(R) Advanced Vector Extensions 512 (Intel(R) AVX-512) with support of …", "AVX-512"),
        ("Intel(R) Streaming SIMD Extensions 4.2 (Intel(R) SSE4.2) enabled processors", "SSE4.2"),
        ("Intel(R) Architecture processors", ""),
    ],
)
def test_the_instructions_are_named_as_mkl_names_them(described: str, named: str) -> None:
    assert instructions(described) == named


@pytest.mark.parametrize(
    ("vendor", "flags", "answer"),
    [
        ("AuthenticAMD", {"avx2", "fma"}, True),
        ("HygonGenuine", {"avx2", "fma", "avx512f"}, True),
        ("AuthenticAMD", {"avx2"}, False),
        ("GenuineIntel", {"avx2", "fma"}, False),
        (None, set(), False),
    ],
)
def test_it_is_for_processors_that_are_not_intels_and_could(
    vendor: str | None, flags: set[str], answer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(module.sys.modules, "torch")
    monkeypatch.delenv("NGLAB_MKL", raising=False)
    monkeypatch.setattr(module, "processor", lambda: {"vendor_id": vendor})
    monkeypatch.setattr(module, "flags", lambda: frozenset(flags))
    assert wanted() == answer


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_products_of_whole_numbers_are_exact(dtype: torch.dtype) -> None:
    """With int64, which no such library multiplies, it is the closed form itself that is checked."""
    assert exact(dtype)


def test_a_product_that_is_not_exact_is_noticed() -> None:
    assert not exact(torch.bfloat16)


def test_wrong_products_stop_a_run_and_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "lifted", lambda: True)
    monkeypatch.setattr(module, "exact", lambda dtype: dtype == torch.float32)
    with pytest.raises(InputError, match="set NGLAB_MKL=vendor"):
        demand_right_products.__wrapped__()


def test_without_the_lift_nothing_is_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "lifted", lambda: False)
    monkeypatch.setattr(module, "exact", lambda dtype: False)
    demand_right_products.__wrapped__()
