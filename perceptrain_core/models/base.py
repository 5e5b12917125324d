"""The base of the models that come with the library."""

from __future__ import annotations

from torch import nn


class Model(nn.Module):
    """An ``nn.Module``, under the name that the library's own models share.

    The library does not require it: any ``nn.Module`` can be trained. Subclass it and implement
    ``forward`` if you want a common base class.
    """
