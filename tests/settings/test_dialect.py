from pathlib import Path

import pytest

from nglab.errors import InputError
from nglab.settings.dialect import read

KEYS = {"out": "where it goes", "rounds": "how often"}


def given(*words: str, positions: str = "DIR ...", least: int = 0, more: bool = False):
    return read("thing", "do a thing", words, KEYS, positions, least, more)


@pytest.mark.parametrize(
    "words", [["out=X", "a"], ["a", "--out", "X"], ["--out=X", "a"], ["a", "out=X"]]
)
def test_a_key_is_the_same_however_it_is_written(words: list[str]) -> None:
    found = given(*words)
    assert (found.positions, found.settings) == (["a"], {"out": "X"})
    assert found.overrides == ["out='X'"]
    assert found.folder("out", "elsewhere") == Path("X")
    assert given("a").folder("out", "elsewhere") == Path("elsewhere")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ot=X"], "ot: no such key; did you mean out?"),
        (["--ot", "X"], "ot: no such key; did you mean out?"),
        (["out="], "out=: must be out=VALUE"),
        (["a", "--out"], "out=: must be out=VALUE"),
        ([], "DIR ... is missing; usage: nglab thing DIR ... [out=…] [rounds=…]"),
    ],
)
def test_wrong_words(words: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        given(*words, least=1)
    assert message in str(error.value)


def test_a_position_too_many_is_refused() -> None:
    with pytest.raises(InputError, match="b: must be key=value"):
        given("a", "b", positions="DIR")
    with pytest.raises(InputError, match="a: must be key=value"):
        given("a", positions="")


def test_a_folder_with_an_equals_sign_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "lr=0.1"
    folder.mkdir()
    assert given(str(folder)).positions == [str(folder)]


def test_other_keys_are_left_to_who_reads_them() -> None:
    assert given("panel.A.seeds=3", more=True).overrides == ["panel.A.seeds=3"]


def test_some_keys_may_be_given_several_times() -> None:
    words = ["a", "--out=X", "--rounds", "r<1", "rounds=r=2"]
    found = read("thing", "", words, KEYS, "DIR ...", several=["rounds"])
    assert (found.settings, found.lists) == ({"out": "X"}, {"rounds": ["r<1", "r=2"]})
    assert read("thing", "", [], KEYS, several=["rounds"]).lists == {"rounds": []}
    with pytest.raises(InputError, match="out=X is given already"):
        read("thing", "", ["out=X", "out=Y"], KEYS, several=["rounds"])


def test_a_key_may_stand_alone() -> None:
    for words in (["--rounds", "a"], ["a", "--rounds"], ["a", "--rounds=2"], ["rounds=2", "a"]):
        found = read("thing", "", words, KEYS, "DIR", alone={"rounds": "2"})
        assert (found.positions, found.settings) == (["a"], {"rounds": "2"})


def test_help_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaves:
        given("--help")
    assert leaves.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: nglab thing DIR ... [out=…] [rounds=…]\n\ndo a thing\n")
    assert "rounds=…" in shown and "how often" in shown
