"""Where Hydra looks for launchers: a namespace package, so without __init__.py. nglab/launcher.py holds them."""

from nglab.sweeps import launchers as launcher


class Sequential(launcher.Sequential):
    """hydra/launcher=sequential"""


class Stacked(launcher.Stacked):
    """hydra/launcher=stacked"""
