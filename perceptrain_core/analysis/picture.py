"""A figure of matplotlib that belongs to its holder alone, and that a notebook shows."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class Picture(Figure):
    """A figure made without pyplot: it needs no display, and no list of open ones keeps it."""

    def png(self) -> bytes:
        """Give the picture as a PNG file."""
        file = BytesIO()
        self.savefig(file, format="png", dpi=120)
        return file.getvalue()

    def _repr_png_(self) -> bytes:
        """Be shown by a notebook, which knows only the figures of pyplot."""
        return self.png()
