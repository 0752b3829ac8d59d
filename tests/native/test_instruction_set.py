"""What the processor is, out of Linux's own words."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from nglab.native import instruction_set as module
from nglab.native.instruction_set import LEVELS, compiler_flags, levels, processor

ZEN4 = "avx2 fma bmi2 avx512f avx512bw avx512cd avx512dq avx512vl avx512_bf16"


@pytest.fixture(autouse=True)
def ask_anew() -> Iterator[None]:
    processor.cache_clear()
    yield
    processor.cache_clear()


def described(monkeypatch: pytest.MonkeyPatch, text: str, tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    monkeypatch.setattr(module, "CPUINFO", file)


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (ZEN4, ["x86-64-v4", "x86-64-v3", "baseline"]),
        ("sse2 avx2 fma bmi2 avx512f", ["x86-64-v3", "baseline"]),
        ("sse2", ["baseline"]),
    ],
)
def test_the_levels_are_those_whose_instructions_are_all_there(
    flags: str, found: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    described(monkeypatch, f"vendor_id\t: AuthenticAMD\nflags\t\t: {flags}\n", tmp_path)
    assert levels() == found


def test_the_first_processor_stands_for_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = f"processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: {ZEN4}\n\n"
    described(monkeypatch, one + one.replace(": 0", ": 1").replace("avx2", "") * 100, tmp_path)
    assert processor() == {"processor": "0", "vendor_id": "AuthenticAMD", "flags": ZEN4}


def test_where_nothing_is_told_it_is_the_baseline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    described(monkeypatch, "", tmp_path)
    (tmp_path / "cpuinfo").unlink()
    assert processor() == {} and levels() == ["baseline"]


def test_another_kind_of_processor_has_no_level(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    described(monkeypatch, "processor\t: 0\nFeatures\t: fp asimd sve\n", tmp_path)
    assert levels() == ["baseline"]


def test_every_level_has_what_the_next_one_has() -> None:
    best_first = [set(compiler_flags(level)) for level in LEVELS]
    assert all(better > worse for better, worse in pairwise(best_first))
