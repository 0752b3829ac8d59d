"""What is done in every process just before it imports torch, and in none that does not."""

import sys

TYPE_CHECKING = False  # of typing, whose import would be most of what `import nglab` takes
if TYPE_CHECKING:
    from collections.abc import Sequence


class BeforeTorch:
    """Stands before Python's own finders of modules, finds none, and leaves when torch is asked for."""

    def find_spec(self, name: str, path: "Sequence[str] | None", target: object = None) -> None:
        if name == "torch":
            sys.meta_path.remove(self)
            from nglab.native.vendor_check import lift

            lift()


def watch() -> None:
    """Have it done; nothing where torch is there already."""
    if "torch" not in sys.modules:
        sys.meta_path.insert(0, BeforeTorch())
