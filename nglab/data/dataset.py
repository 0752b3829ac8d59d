"""Training and test examples, and the order in which they are seen."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dataset:
    """Examples as rows: x `[D, N, n_0]`, y `[D, N, n_L]` for D distinct data sets (one, but in a stack)."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor

    def to(self, dtype: torch.dtype, device: torch.device) -> "Dataset":
        """Converted; where y is x (an autoencoder) it stays the same tensor."""
        train_x, test_x = self.train_x.to(device, dtype), self.test_x.to(device, dtype)
        train_y = train_x if self.train_y is self.train_x else self.train_y.to(device, dtype)
        test_y = test_x if self.test_y is self.test_x else self.test_y.to(device, dtype)
        return Dataset(train_x, train_y, test_x, test_y)
