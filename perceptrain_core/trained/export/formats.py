"""The formats of exported files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from torch import Tensor, nn

from perceptrain_core.option_checks import check_choice
from perceptrain_core.trained.export import onnx, torch_export, torchscript

Format: TypeAlias = Literal["torch-export", "onnx", "torchscript"]


@dataclass(frozen=True)
class FileFormat:
    """A format of exported files.

    Attributes:
        name: Its name.
        suffix: The suffix of its files.
        write: Writes a module, traced with example rows, and a description into a file.
        load: Loads a file as a function from rows to predictions.
    """

    name: str
    suffix: str
    write: Callable[[nn.Module, Tensor, Path, str], None]
    load: Callable[[Path], Callable[[Tensor], Tensor]]


_FORMATS = (
    FileFormat("torch-export", ".pt2", torch_export.write, torch_export.load),
    FileFormat("onnx", ".onnx", onnx.write, onnx.load),
    FileFormat("torchscript", ".ts", torchscript.write, torchscript.load),
)


def file_format(name: str) -> FileFormat:
    """Return the format of a name.

    Raises:
        ConfigError: The format is unknown.
    """
    by_name = {each.name: each for each in _FORMATS}
    check_choice("format", name, list(by_name))
    return by_name[name]
