from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Gt, Lt

from nglab.errors import InputError
from nglab.settings.building import build, check_all, plain
from nglab.settings.describing import settings_of, wanted
from nglab.settings.fields import Count, NonNegative, Options, Positive, Share, setting
from nglab.settings.messages import demand
from nglab.settings.tables import as_text, rows


@dataclass(frozen=True)
class Shape(ABC):
    name_of_unit: str = setting("what lengths are in")

    @abstractmethod
    def area(self) -> float: ...


@dataclass(frozen=True)
class Ball(Shape):
    radius: Positive = setting("r of the ball", unit="m", paper="0.1")

    def area(self) -> float:
        return 4 * self.radius

    def check(self, key: str, run: Any) -> None:
        demand(self.radius < run.room, f"{key}.radius", self.radius, f"below room={run.room}")


@dataclass(frozen=True)
class Unfinished(Shape):
    pass


class Plain:
    pass


@dataclass(frozen=True)
class Box:
    shape: Shape = setting("what is in it")
    room: Positive = setting("how wide it is")
    share: Share = setting("how full it is")
    count: Count | None = setting("how many; null: any number")
    sides: tuple[int, ...] = setting("its sides")
    lid: Literal["open", "shut"] = setting("its lid")
    loud: bool = setting("whether it rattles", default=False)
    lid_angle: Annotated[float, Gt(0), Lt(2)] = setting("of the lid", default=1.0)


HERE = __name__
RIGHT: dict[str, Any] = {
    "shape": {"_target_": f"{HERE}.Ball", "name": "ball", "name_of_unit": "m", "radius": 0.5},
    "room": 2,
    "share": 0.5,
    "count": None,
    "sides": [1, 2],
    "lid": "open",
}


def changed(key: str, value: Any) -> dict[str, Any]:
    """RIGHT with one key another value; None of a key means that it is taken away."""
    values = {**RIGHT, "shape": dict(RIGHT["shape"])}
    *groups, last = key.split(".")
    node = values
    for group in groups:
        node = node[group]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return values


def test_objects_are_built_as_their_classes_declare_them() -> None:
    box = build(Box, RIGHT)
    assert box == Box(Ball("m", 0.5), 2.0, 0.5, None, (1, 2), "open", False, 1.0)
    assert isinstance(box.room, float)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("room", 0, "room=0: must be a number, above 0 and finite"),
        ("room", float("inf"), "room=inf: must be a number, above 0 and finite"),
        ("room", True, "room=True: must be a number, above 0"),
        ("room", "2", "room=2: must be a number, above 0"),
        ("room", ..., "room: is missing: must be a number, above 0 and finite"),
        ("share", 1, "share=1: must be a number, from 0 to below 1 and finite"),
        ("count", 0, "count=0: must be a whole number, 1 or more or null"),
        ("count", 1.0, "count=1.0: must be a whole number"),
        ("sides", 3, "sides=3: must be a list of whole numbers, such as [20,30,20]"),
        ("sides", [1, "x"], "sides=[1, 'x']: must be a list of whole numbers"),
        ("lid", "ajar", "lid=ajar: must be one of open, shut"),
        ("loud", 1, "loud=1: must be true or false"),
        ("lid_angle", 2.0, "lid_angle=2.0: must be a number, above 0 and below 2 and finite"),
        ("rooom", 1, "rooom: no such key; did you mean room?"),
        ("shape.radiuss", 1, "shape.radiuss: no such key; did you mean shape.radius?"),
        ("shape.radius", -1, "shape.radius=-1: must be a number, above 0"),
        ("shape", 3, "shape=3: must be a group of keys"),
        ("shape", None, "shape=None: must be a group of keys"),
        ("shape._target_", ..., "shape._target_=None: must be the class of a Shape"),
        ("shape._target_", "nowhere.Ball", "shape._target_=nowhere.Ball: there is no module now"),
        ("shape._target_", f"{HERE}.Bal", f"shape._target_={HERE}.Bal: {HERE} has no Bal"),
        ("shape._target_", f"{HERE}.Box", "must be a dataclass that is a Shape"),
        ("shape._target_", f"{HERE}.Plain", "must be a dataclass that is a Shape"),
        ("shape._target_", f"{HERE}.Unfinished", "must be a class that defines area"),
        ("shape._target_", "Ball", "shape._target_=Ball: there is no module Ball"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(
    key: str, value: Any, message: str
) -> None:
    with pytest.raises(InputError) as error:
        build(Box, changed(key, value))
    assert message in str(error.value)


def test_what_a_module_raises_while_it_is_imported_is_its_authors_to_see(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_shape.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        build(Box, changed("shape._target_", "broken_shape.Ball"))


def test_every_object_checks_what_concerns_several_keys() -> None:
    tight = build(Box, changed("room", 0.25))
    with pytest.raises(InputError, match=r"^shape\.radius=0\.5: must be below room=0\.25$"):
        check_all(tight, tight)
    roomy = build(Box, RIGHT)
    check_all(roomy, roomy)


def test_plain_data_tells_equal_settings_from_others() -> None:
    box = build(Box, RIGHT)
    assert plain(box)["shape"] == {
        "_target_": f"{HERE}.Ball", "name_of_unit": "m", "radius": 0.5,
    }  # fmt: skip
    assert build(Box, plain(box)) == box
    assert plain(build(Box, changed("shape.radius", 0.25))) != plain(box)


def test_every_key_is_described_with_its_value() -> None:
    text = as_text(list(rows(Box, RIGHT)))
    assert "shape.radius = 0.5\n    r of the ball [m] (paper: 0.1); a number, above 0 and" in text
    assert "count = null\n    how many; null: any number; a whole number, 1 or more or null" in text
    assert [row.key for row in rows(Box, RIGHT)][:3] == [
        "shape.name_of_unit",
        "shape.radius",
        "room",
    ]


def test_a_field_without_a_description_is_a_setting_too() -> None:
    @dataclass(frozen=True)
    class Bare:
        weight: NonNegative

    assert [one.name for one in settings_of(Bare)] == ["weight"]
    assert wanted(settings_of(Bare)[0].type) == "a number, 0 or more and finite"


@dataclass(frozen=True)
class Lesson:
    class_: str = setting("which class it is for")
    options: Options | None = setting("what the teacher knows of")
    inner: Ball | None = setting("what is thrown", default=None)


def test_a_word_of_pythons_is_a_key_like_any_other() -> None:
    values = {"class": "third", "options": {"loud": [1, 2], "deep": {"x": [3]}}}
    lesson = build(Lesson, values)
    assert lesson == Lesson("third", {"loud": (1, 2), "deep": {"x": (3,)}})
    assert plain(lesson) == {"_target_": f"{HERE}.Lesson", **values, "inner": None}
    assert [row.key for row in rows(Lesson, values)] == ["class", "options", "inner"]
    with pytest.raises(InputError, match=r"^b\.class=3: must be text"):
        build(Lesson, {**values, "class": 3}, "b")
    with pytest.raises(InputError, match=r"^class_: no such key; did you mean class\?"):
        build(Lesson, {**values, "class_": "third"})


@pytest.mark.parametrize("options", ["loud", 3, [1], {3: 4}])
def test_options_are_a_group_of_keys(options: Any) -> None:
    with pytest.raises(
        InputError, match=r"^options=.*: must be a group of keys, such as .* or null"
    ):
        build(Lesson, {"class": "third", "options": options})
