"""Files of ``torch.export``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from perceptrain_core.trained.export.description import NAME


def write(module: nn.Module, example: Tensor, path: Path, description: str) -> None:
    """Write a module with a dynamic number of rows, and its description as an extra file."""
    torch.export.save(program(module, example), path, extra_files={NAME: description})


def load(path: Path) -> Callable[[Tensor], Tensor]:
    """Load a file as a function of rows."""
    module: Callable[[Tensor], Tensor] = torch.export.load(path).module()
    return module


def program(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """Return the graph of a module with a dynamic number of rows."""
    return torch.export.export(
        module, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), strict=False
    )
