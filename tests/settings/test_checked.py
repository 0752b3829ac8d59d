"""Objects of settings made in Python: what is checked, and where what is left out comes from."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from nglab.data.mnist import MnistImages
from nglab.errors import InputError
from nglab.optimizers.first_order.adam import Adam
from nglab.optimizers.ngd import NGD
from nglab.optimizers.schedules.constant import Constant
from nglab.optimizers.schedules.cosine import Cosine
from nglab.optimizers.schedules.schedule import Schedule
from nglab.optimizers.sgd import SGD
from nglab.settings.checked import Settings, altered
from nglab.settings.composing import compose
from nglab.settings.defaults import composed, option, option_of
from nglab.settings.fields import Count, Positive, setting


@dataclass(frozen=True)
class Ball(Settings):
    radius: Positive = setting("r")
    number: Count = setting("how many", default=1)
    schedule: Schedule | None = setting("how it shrinks", default=None)
    colour: object = field(default="red", compare=False)


@pytest.mark.parametrize(
    ("cls", "place"),
    [
        (NGD, ("optimizer", "ngd")),
        (SGD, ("optimizer", "sgd")),
        (Adam, ("optimizer", "adam")),
        (MnistImages, ("data", "mnist")),
        (Cosine, ("optimizer/schedule", "cosine")),
        (Ball, None),
    ],
)
def test_the_file_of_a_class_is_the_one_that_names_it(cls, place) -> None:
    assert option_of(cls) == place


def test_what_no_file_has_must_be_given() -> None:
    with pytest.raises(InputError, match=r"^Ball\.radius: is missing: must be a number, above 0"):
        Ball()
    assert Ball(2).radius == 2.0
    assert Ball(radius=2, colour="blue").colour == "blue"


def test_a_word_is_an_option_wherever_its_group_lies() -> None:
    assert Ball(1, schedule="cosine").schedule == Cosine(warm_up=0, final=0.0)
    assert Ball(1, schedule=Constant(warm_up=2)).schedule == Constant(warm_up=2)
    with pytest.raises(InputError, match=r"^Ball\.schedule=3: must be a group of keys"):
        Ball(1, schedule=3)


def test_numbers_of_numpy_are_numbers() -> None:
    ball = Ball(np.float32(0.5), np.int64(3))
    assert (type(ball.radius), type(ball.number)) == (float, int)
    with pytest.raises(InputError, match=r"^Ball\.number=0: must be a whole number, 1 or more"):
        Ball(1, np.int64(0))


def test_the_tensors_of_a_stack_pass() -> None:
    rates = torch.tensor([0.1, -1.0])
    assert replace(SGD(), lr=rates).lr is rates


def test_a_copy_may_be_altered_unchecked() -> None:
    ball = Ball(1.0)
    assert altered(ball, {"radius": 0.0}).radius == 0.0
    assert ball.radius == 1.0
    with pytest.raises(InputError):
        replace(ball, radius=0.0)


def test_what_was_composed_once_is_not_changed_by_who_asks() -> None:
    before = repr(composed("optimizer", "kfac"))
    option("optimizer", "kfac", damping={"initial": 3.0}, metric={"solver": "pseudo_inverse"})
    assert repr(composed("optimizer", "kfac")) == before


def test_options_are_found_while_somebody_composes() -> None:
    compose(["optimizer=sgd"])
    assert option("optimizer", "sgd") == SGD()
