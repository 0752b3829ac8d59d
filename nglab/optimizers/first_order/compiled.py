"""A chunk of steps in one call of compiled code (nglab/native/descent.c).

At 20 examples a call of PyTorch costs as much as its product, and a step of sixteen layers makes fifty of them.
"""

import torch
from torch import Tensor

from nglab.native.descent_kernels import LANES, OUTSIDE, PADDED, Batches, Descent
from nglab.networks.layers import Layers
from nglab.networks.scratch import Scratch
from nglab.optimizers.optimizer import Task

IN_CACHE = 12 * 2**20
"""Bytes of a step's memory up to which our own products are faster than BLAS's: a core's share of the last cache."""

REGISTER = 64  # bytes, of the widest one


class CompiledDescent(Scratch):
    """Descent, plain or with momentum, of one network or a stack.

    What a step computes is defined by the methods' `step`; this equals it to rounding. One network's products are our
    own, or BLAS's where it has several threads for them or the network is large; then plain descent of identity units
    without bias is the step bit for bit. A stack's networks lie side by side in vector registers where there are enough
    of them; each is bit for bit what the network alone is.
    """

    def __init__(self, descent: Descent, params: Layers) -> None:
        size = params[0].element_size()
        in_lanes, padded, outside = (descent.memory(kind) for kind in (LANES, PADDED, OUTSIDE))
        self.descent, self.replicas = descent, params.leading.numel()
        self.small = padded * size <= IN_CACHE
        self.side_by_side = in_lanes * size <= IN_CACHE
        self.least = max(2, descent.lanes // 2) if self.side_by_side else self.replicas + 1
        numbers = max(outside, padded, in_lanes if self.replicas >= self.least else 0)
        self.memory = params[0].new_zeros(numbers + REGISTER // size)
        self.aligned = -(-self.memory.data_ptr() // REGISTER) * REGISTER

    @property
    def alone(self) -> int:
        """Where the steps of one network are made."""
        return PADDED if self.small and torch.get_num_threads() == 1 else OUTSIDE

    @classmethod
    def of(
        cls, task: Task, params: Layers, batch_size: int, momentum: bool, ahead: bool = False
    ) -> "CompiledDescent | None":
        """None where there is no such code for this network, likelihood, type of numbers or device."""
        net, dtype = task.network, str(params[0].dtype).removeprefix("torch.")
        known = task.likelihood.error_is_difference and params[0].is_cpu
        if not known or not Descent.available(dtype, net.activation):
            return None
        shape = dtype, net.widths, net.bias, net.activation, batch_size
        return cls(Descent(*shape, momentum, ahead), params)

    def steps_(
        self, params: Layers, x: Tensor, y: Tensor, rates: Tensor, velocity: Layers | None = None,
        momentum: float | Tensor = 0.0,
    ) -> None:  # fmt: skip
        """Steps on x `[steps, ..., M, n_0]`, y `[steps, ..., M, n_L]` at the rates `[steps or 1, ..., 1, 1]`.

        Without a velocity V they are α/M. With V they are α, and `momentum` is μ, a number or `[..., 1, 1]`.
        """
        x, y = x.contiguous(), y.contiguous()
        rates = rates.reshape(-1, self.replicas).contiguous()
        mu = torch.as_tensor(momentum, dtype=x.dtype).flatten().expand(self.replicas).contiguous()
        x_step, y_step = x.shape[1:].numel(), y.shape[1:].numel()
        batches = Batches(
            x.data_ptr(), y.data_ptr(), rates.data_ptr(), mu.data_ptr(),
            x_step, x_step // self.replicas, y_step, y_step // self.replicas,
            self.replicas if len(rates) > 1 else 0,
        )  # fmt: skip
        weights, velocities = (
            [w.data_ptr() for w in layers] for layers in (params, velocity or ())
        )
        apart = [w.stride(0) if params.leading else 0 for w in params]
        self.descent.run(
            self.replicas, self.least, self.alone, weights, velocities, apart, batches, len(x),
            self.aligned,
        )  # fmt: skip
