"""Training and test examples, and the order in which they are seen."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dataset:
    """Examples as rows: x `[D, N, n_0]`, y `[D, N, n_L]` for D distinct data sets (one, but in a stack).

    In Python also x `[N, n_0]` and y `[N, n_L]`, as `nglab.dataset` gives them and `nglab.train` takes them, in
    whatever unit: the loss is a mean over the N rows, y ≈ f(x). It holds what it is given; `train` raises InputError
    where that does not fit.

    Raises InputError in `train` alone.

    Source: ours.

    >>> x = torch.randn(10, 3)
    >>> Dataset(x, 2 * x, x, 2 * x).train_y.shape
    torch.Size([10, 3])
    """

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
