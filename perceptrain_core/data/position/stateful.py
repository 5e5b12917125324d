"""Loaders of torchdata, which save and restore their position inside a pass."""

from __future__ import annotations

import sys
from typing import Any


def is_stateful_loader(loader: Any) -> bool:
    """Whether a loader is a ``StatefulDataLoader`` of torchdata."""
    module = sys.modules.get("torchdata.stateful_dataloader")  # without it, there is none
    return module is not None and isinstance(loader, module.StatefulDataLoader)
