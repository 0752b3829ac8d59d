"""A figure that a notebook shows, whatever it has set up for matplotlib."""

from io import BytesIO
from typing import Any

from matplotlib.figure import Figure

CROPPED: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.04}


class NotebookFigure(Figure):
    """A matplotlib `Figure` of its own, in nobody's list of open ones."""

    def _repr_png_(self) -> bytes:
        """What IPython asks for."""
        memory = BytesIO()
        self.savefig(memory, format="png", dpi=150, **CROPPED)
        return memory.getvalue()
