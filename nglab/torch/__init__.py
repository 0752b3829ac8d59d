"""Natural gradient descent for models of your own: optimizers of torch's kind for any `nn.Module`."""

from nglab.torch.module_optimizers import KFAC, NGD

__all__ = ["KFAC", "NGD"]
