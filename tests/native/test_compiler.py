"""C becomes a shared library, once; what cannot be built is None and leaves nothing behind."""

import ctypes
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fresh_python import COMPILES

from nglab.native.compiler import build, cache_folder, compile_to, compiler

needs_compiler = pytest.mark.skipif(not COMPILES, reason="there is no C compiler")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nglab"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "answer.c"
    file.write_text('#include "answer.h"\nint answer(void) { return ANSWER; }\n')
    (tmp_path / "answer.h").write_text("#ifndef ANSWER\n#define ANSWER 42\n#endif\n")
    return file


def answer(library: Path | None) -> int:
    assert library is not None
    return ctypes.CDLL(str(library)).answer()


@needs_compiler
def test_a_source_is_compiled_once(source: Path, cache: Path) -> None:
    first = build([source])
    assert answer(first) == 42
    assert first.parent == cache
    written = first.stat().st_mtime_ns
    assert build([source]) == first
    assert first.stat().st_mtime_ns == written
    assert os.listdir(cache) == [first.name]


@needs_compiler
def test_another_source_header_flag_or_compiler_is_another_library(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build([source])
    assert answer(other_flag := build([source], ["-DANSWER=43"])) == 43
    (source.parent / "answer.h").write_text("#define ANSWER 44\n")
    assert answer(other_header := build([source])) == 44
    source.write_text("int answer(void) { return 45; }\n")
    assert answer(other_source := build([source])) == 45
    monkeypatch.setenv("CC", f"{compiler()[0]} -O1")
    assert answer(other_compiler := build([source])) == 45
    assert len({first, other_flag, other_header, other_source, other_compiler}) == 5


@needs_compiler
def test_several_sources_make_one_library(source: Path) -> None:
    second = source.with_name("question.c")
    second.write_text("int answer(void); int question(void) { return answer() / 7; }\n")
    assert ctypes.CDLL(str(build([source, second]))).question() == 6


@needs_compiler
def test_processes_at_once_each_find_it_whole(source: Path, cache: Path) -> None:
    cache_folder()
    target = cache / "answer.so"
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: compile_to(target, [source]), range(4)))
    assert answer(target) == 42
    assert os.listdir(cache) == [target.name]


def test_without_a_compiler_there_is_none(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    assert compiler() is None
    assert build([source]) is None


@pytest.mark.parametrize("broken", ["false", "no-such-compiler"])
def test_a_broken_compiler_is_none(
    broken: str, source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", broken)
    assert build([source]) is None
    assert not cache.exists() or os.listdir(cache) == []


@needs_compiler
def test_a_source_that_does_not_compile_leaves_nothing(source: Path, cache: Path) -> None:
    source.write_text("int answer(void) { return }\n")
    assert build([source]) is None
    assert os.listdir(cache) == []


@needs_compiler
def test_a_cache_that_cannot_be_written_is_none(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(source))  # a file
    assert build([source]) is None


def test_options_in_cc_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", f"{sys.executable} -m64 '-D A'")
    assert compiler() == [sys.executable, "-m64", "-D A"]
