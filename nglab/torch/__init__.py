"""Natural gradient descent for models of your own: optimizers of torch's kind for any `nn.Module`."""

from nglab.torch.natural_gradient import KFAC, NGD

__all__ = ["KFAC", "NGD"]
