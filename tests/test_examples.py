"""The examples of docs/examples, on images made here and for a few steps: what they train gets better."""

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest
import torch
from torch import Tensor

from nglab.settings.composing import conf_dir

EXAMPLES = conf_dir().parent / "docs" / "examples"


def example(name: str) -> ModuleType:
    spec = spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_up(root: None, split: str, what: str) -> Tensor:
    """240 images of ten kinds, or the kinds: a bright square in one of ten places, and noise."""
    kinds = torch.arange(240) % 10
    if what == "labels":
        return kinds.to(torch.uint8)
    seed = {"train": 0, "test": 1}[split]
    images = torch.randint(100, (240, 28, 28), generator=torch.Generator().manual_seed(seed))
    for image, kind in zip(images, kinds.tolist(), strict=True):
        row, column = divmod(kind, 4)
        image[8 * row : 8 * row + 6, 7 * column : 7 * column + 6] += 150
    return images.to(torch.uint8)


@pytest.fixture
def on_made_up_images(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    def loaded(name: str) -> ModuleType:
        module = example(name)
        monkeypatch.setattr(module, "verify", lambda root: None)
        monkeypatch.setattr(module, "read", made_up)
        return module

    return loaded


def test_the_autoencoder_learns(on_made_up_images: Callable[[str], ModuleType]) -> None:
    losses = on_made_up_images("autoencoder").main(passes=2, batch_size=60)
    assert losses[1] < losses[0] < 60  # the images' own half square is 80


def test_the_convolutions_tell_kinds_apart(on_made_up_images: Callable[[str], ModuleType]) -> None:
    assert on_made_up_images("convolutions").main(passes=3, batch_size=60)[-1] < 10


def test_resnet_learns_its_batch() -> None:
    losses = example("resnet").main(steps=2, batch_size=4, pixels=32)
    assert losses[-1] < losses[0]


def test_every_example_is_tested() -> None:
    assert {file.stem for file in EXAMPLES.glob("*.py")} == {
        "autoencoder",
        "convolutions",
        "resnet",
    }
