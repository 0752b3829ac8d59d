"""What every task on the MNIST images shares: the files, the sizes of the splits, the pixels as numbers."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nglab.data.mnist_files import read, verify
from nglab.data.source import DataSource
from nglab.settings.fields import setting
from nglab.settings.messages import demand

PIXELS = 784
EXAMPLES = {"train": 60_000, "test": 10_000}


@dataclass(frozen=True)
class MnistSource(DataSource):
    """The first examples of each split; x are pixels in [0, 1], float32."""

    drawn: ClassVar[bool] = False

    root: str | None = setting(
        "folder that holds MNIST/raw; null: $NGLAB_DATA, else the user's cache"
    )

    def check(self, key: str, run: Any) -> None:
        """InputError where a split has fewer examples."""
        for split, most in EXAMPLES.items():
            check_split(f"{key}.{split}_examples", self.examples(split), most)

    def verify(self) -> None:
        verify(self.root)

    def examples(self, split: str) -> int:
        return {"train": self.train_examples, "test": self.test_examples}[split]

    def images(self, split: str) -> Tensor:
        """`[1, N, 784]`."""
        return self.first(split, "images").flatten(1).to(torch.float32).div_(255).unsqueeze(0)

    def first(self, split: str, what: str) -> Tensor:
        """What a file of "images" or "labels" holds of the first examples, `[N, …]`, uint8."""
        values = read(self.root, split, what)
        check_split(f"data.{split}_examples", self.examples(split), len(values))
        return values[: self.examples(split)]


def check_split(key: str, examples: int, most: int) -> None:
    demand(examples <= most, key, examples, f"at most {most}, all MNIST has")
