"""Files of ONNX."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import MissingDependencyError
from perceptrain_core.trained.export.description import INPUT, NAME, OUTPUT
from perceptrain_core.trained.export.torch_export import program


def write(module: nn.Module, example: Tensor, path: Path, description: str) -> None:
    """Write a module with a dynamic number of rows, and its description as metadata.

    Raises:
        MissingDependencyError: The extra ``onnx`` is not installed.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        _package(package)
    made = torch.onnx.export(
        program(module, example),
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamo=True,
        verbose=False,
    )
    assert made is not None  # without a path, it returns the program
    made.model.metadata_props[NAME] = description
    made.save(path, external_data=False)


def load(path: Path) -> Callable[[Tensor], Tensor]:
    """Load a file as a function of rows, evaluated by onnxruntime on the CPU."""
    session = _package("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])

    def evaluate(rows: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {INPUT: rows.numpy()})[0])

    return evaluate


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f'ONNX files need {name}: pip install "perceptrain-core[onnx]".'
        ) from error
