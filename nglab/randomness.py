"""One random stream for each purpose, all derived from the run's seed.

Adding a draw to one stream moves no other, and a replica of a stack draws what it would draw alone.
"""

import hashlib

import torch


def stream(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """The generator of `seed` for `purpose` ("teacher", "student", "batches", …)."""
    digest = hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest, "little") >> 1)
