"""`torchvision.datasets`, also where torch is a CPU-only build (the import takes seconds)."""

import sys
from functools import cache
from importlib import import_module
from types import ModuleType

import torch


@cache
def datasets() -> ModuleType:
    """`torchvision.datasets`, also where torch is a CPU-only build (takes seconds to import)."""
    try:
        return import_module("torchvision.datasets")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    _declare_torchvision_operators()
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # half-imported
    return import_module("torchvision.datasets")


@cache  # keeps the library alive, and with it the schemas
def _declare_torchvision_operators() -> torch.library.Library:
    """Schemas that torchvision expects from its compiled part, which needs CUDA to load."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
