"""One random stream for each purpose, all derived from the run's seed.

Adding a draw to one stream moves no other, and a replica of a stack draws what it would draw alone.
"""

import hashlib
import math

import torch
from torch import Tensor


def stream(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """The generator of `seed` for `purpose` ("teacher", "student", "batches", …)."""
    digest = hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest, "little") >> 1)


CHUNK = 16_384
"""Numbers that stay in a core's cache while they are made."""


def normal_(out: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, 1), as `Tensor.normal_`, whose numbers these are; in float64 on the CPU to rounding, in half of its time."""
    one_by_one = out.dtype is torch.float64 and out.is_cpu and out.is_contiguous()
    if not one_by_one or out.numel() < 16:
        return out.normal_(generator=generator)
    numbers = out.view(-1)
    for chunk in numbers.split(CHUNK):
        chunk.uniform_(generator=generator)
        box_muller_(chunk[: len(chunk) // 16 * 16])
    if len(numbers) % 16:  # torch draws the last 16 anew
        box_muller_(numbers[-16:].uniform_(generator=generator))
    return out


def box_muller_(uniform: Tensor) -> None:
    """√(−2 log(1 − u)) times cos 2πv and sin 2πv in place of 8 u and the 8 v after them, and so on."""
    u, v = uniform.view(-1, 2, 8).unbind(1)
    radius = torch.sub(1, u).log_().mul_(-2).sqrt_()
    angle = v * (2 * math.pi)
    torch.mul(radius, angle.cos(), out=u)
    torch.mul(radius, angle.sin_(), out=v)
