"""What a run says of the library of its products."""

import pytest

from nglab.native import arithmetic as module
from nglab.native.arithmetic import arithmetic, blas, named

AVX512 = "Intel(R) Advanced Vector Extensions 512 (Intel(R) AVX-512) with support of …"
OTHERS = "Intel(R) Architecture processors"


def test_it_is_told_in_words() -> None:
    assert arithmetic().keys() == {"blas", "native"}
    assert all(isinstance(word, str) for word in arithmetic().values())


@pytest.mark.parametrize(
    ("processor", "lifted", "told"),
    [
        (AVX512, True, "MKL 2024.2, AVX-512 (vendor check lifted)"),
        (AVX512, False, "MKL 2024.2, AVX-512"),
        (OTHERS, False, "MKL 2024.2 (vendor check in place)"),
    ],
)
def test_mkl_with_and_without_its_check(
    processor: str, lifted: bool, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "named", lambda built_with: "MKL 2024.2")
    monkeypatch.setattr(module, "mkl_processor", lambda: processor)
    monkeypatch.setattr(module, "lifted", lambda: lifted)
    assert blas() == told


def test_another_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "named", lambda built_with: "open")
    monkeypatch.setattr(module, "mkl_processor", lambda: None)
    assert blas() == "open"


def test_a_library_that_is_not_told_has_no_name() -> None:
    assert named("Intel(R) Math Kernel Library Version 2020.0.4 Product Build") == "MKL 2020.0.4"
    assert named("") == ""
