"""Where Hydra looks for launchers: a namespace package, without __init__.py. nglab/sweeps/launchers.py has them."""

from nglab.sweeps import launchers as launcher


class Sequential(launcher.Sequential):
    """hydra/launcher=sequential"""


class Stacked(launcher.Stacked):
    """hydra/launcher=stacked"""
