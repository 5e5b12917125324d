"""Files of TorchScript, for programs that cannot load those of ``torch.export``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from perceptrain_core.trained.export.description import NAME
from perceptrain_core.trained.export.torch_export import program


def write(module: nn.Module, example: Tensor, path: Path, description: str) -> None:
    """Write the trace of a module, and its description as an extra file."""
    # A trace of the module itself would keep one branch of each decision without an error.
    graph = program(module, example).module()
    traced = torch.jit.trace(graph, example, check_trace=False)  # type: ignore[no-untyped-call]
    torch.jit.save(traced, str(path), _extra_files={NAME: description})


def load(path: Path) -> Callable[[Tensor], Tensor]:
    """Load a file as a function of rows."""
    module: Callable[[Tensor], Tensor] = torch.jit.load(  # type: ignore[no-untyped-call]
        str(path)
    )
    return module
