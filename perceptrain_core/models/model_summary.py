"""A summary of a model: the parameters of each module, and their size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from perceptrain_core.errors import ShapeError
from perceptrain_core.option_checks import number_faults, refuse

_HEADERS = ("MODULE", "TYPE", "PARAMETERS", "TRAINABLE", "SIZE")
_ITSELF = "(model)"


@dataclass(frozen=True)
class ModuleRow:
    """What one module holds.

    Attributes:
        name: The path of the module, as in ``model.named_modules()``; empty for the model itself.
        kind: Its class.
        parameters: The number of elements of its parameters.
        trainable: Of these, how many require gradients.
        bytes: The memory of its parameters and buffers.
    """

    name: str
    kind: str
    parameters: int
    trainable: int
    bytes: int


@dataclass(frozen=True)
class ModelSummary:
    """The parameters of each module of a model; print it to see a table.

    Attributes:
        kind: The class of the model.
        rows: One row for each module with parameters or buffers. What several modules share counts
            once, for the first.
    """

    kind: str
    rows: Sequence[ModuleRow]

    @property
    def parameters(self) -> int:
        """The number of elements of all parameters."""
        return sum(row.parameters for row in self.rows)

    @property
    def trainable(self) -> int:
        """Of these, how many require gradients."""
        return sum(row.trainable for row in self.rows)

    @property
    def bytes(self) -> int:
        """The memory of all parameters and buffers."""
        return sum(row.bytes for row in self.rows)

    def __str__(self) -> str:
        """Return a table with aligned columns and the totals."""
        total = ModuleRow("total", self.kind, self.parameters, self.trainable, self.bytes)
        lines = [_HEADERS, *map(_cells, [*self.rows, total])]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                f"{cell:<{width}}" if number < 2 else f"{cell:>{width}}"
                for number, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        )


def summary(model: nn.Module, depth: int | None = None) -> ModelSummary:
    """Summarize the parameters of a model by module.

    Args:
        model: The model.
        depth: Add up what lies deeper than this many levels; 1 has one row per child of the model.
            By default every module has a row of its own.

    Returns:
        The rows and the totals; ``print(summary(model))`` shows a table.

    Raises:
        ConfigError: ``depth`` is not a positive integer.
        ShapeError: A lazy module has not seen a batch yet, so its parameters have no shape.
    """
    if depth is not None:
        refuse("summary", number_faults({"depth": depth}, whole=True, at_least=1))
    groups: dict[str, list[Tensor]] = {}
    for name, tensor in _own_tensors(model):
        groups.setdefault(".".join(name.split(".")[:depth]), []).append(tensor)
    rows = [_row(model, name, tensors) for name, tensors in groups.items()]
    return ModelSummary(type(model).__name__, rows)


def _own_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield each parameter and buffer once, with the path of its module."""
    seen: set[Tensor] = set()
    for name, module in model.named_modules():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if is_lazy(tensor):
                raise ShapeError(
                    f"The parameters of {name or type(model).__name__} have no shape yet, because "
                    f"{type(module).__name__} is lazy: call the model on a batch first."
                )
            if tensor not in seen:
                seen.add(tensor)
                yield name, tensor


def _row(model: nn.Module, name: str, tensors: Sequence[Tensor]) -> ModuleRow:
    parameters = [tensor for tensor in tensors if isinstance(tensor, nn.Parameter)]
    return ModuleRow(
        name,
        type(model.get_submodule(name)).__name__,
        sum(parameter.numel() for parameter in parameters),
        sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        sum(tensor.numel() * tensor.element_size() for tensor in tensors),
    )


def _cells(row: ModuleRow) -> tuple[str, ...]:
    numbers = (f"{row.parameters:,}", f"{row.trainable:,}", size_text(row.bytes))
    return (row.name or _ITSELF, row.kind, *numbers)


def size_text(number: int) -> str:
    """Return a number of bytes with its unit."""
    size, units = float(number), ["B", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{number} B" if units[0] == "B" else f"{size:.1f} {units[0]}"
