"""The base of the models that come with the library."""

from __future__ import annotations

from torch import nn


class Model(nn.Module):
    """An ``nn.Module``, under the name that the library's own models share.

    Nothing in the library asks for it: any ``nn.Module`` can be trained. Derive from it, and
    write ``forward``, where a common base is handy.
    """
