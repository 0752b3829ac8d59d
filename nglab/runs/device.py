"""The device that a run asks for. PyTorch takes seconds to import: only where it is needed."""

from typing import TYPE_CHECKING

from nglab.settings.messages import demand

if TYPE_CHECKING:
    import torch


def check_device(device: str, cuda_graph: bool = False) -> None:
    """InputError where this machine lacks the GPU asked for."""
    if not (device.startswith("cuda") or cuda_graph):
        return
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    demand(count > 0 or not cuda_graph, "train.cuda_graph", True, "false: this machine has no GPU")
    index = int(device.partition(":")[2] or 0)
    demand(index < count, "device", device, f"auto or cpu: this machine has {count} GPU")


def resolve_device(name: str) -> "torch.device":
    """ "auto" is a GPU where there is one."""
    import torch

    on_gpu = name == "auto" and torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu" if name == "auto" else name)
