"""A matplotlib figure that does not use pyplot, and that notebooks can display."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class Picture(Figure):
    """A figure that does not use pyplot: it needs no display and is freed when unused."""

    def png(self) -> bytes:
        """Return the picture as the bytes of a PNG file."""
        file = BytesIO()
        self.savefig(file, format="png", dpi=120)
        return file.getvalue()

    def _repr_png_(self) -> bytes:
        """Display in a notebook, which otherwise displays pyplot figures only."""
        return self.png()
