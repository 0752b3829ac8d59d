"""A laboratory for natural-gradient descent."""

__version__ = "0.1.0"
