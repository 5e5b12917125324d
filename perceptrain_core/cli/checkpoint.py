"""``perceptrain checkpoint``: look into checkpoints, and convert them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perceptrain_core.cli import output
from perceptrain_core.plurals import counted

if TYPE_CHECKING:
    from perceptrain_core.checkpoints.description import Description, SavedTensor

Checkpoint = Annotated[
    Path, typer.Argument(metavar="PATH", help="A checkpoint, or a folder, for its newest one.")
]


def info(
    path: Checkpoint,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Show what is in a checkpoint: how far the run was, its parts, and all tensors.

    Nothing in the checkpoint is executed. Of a sharded one, only the index is read.
    """
    from dataclasses import asdict

    from perceptrain_core.checkpoints.description import describe

    found = describe(path)
    if as_json:
        sizes = {part: found.size_of(part) for part in ("model", "optimizer")}
        keys = ("tensors", "values", "bytes")
        totals = {part: dict(zip(keys, size, strict=True)) for part, size in sizes.items()}
        output.write_json(asdict(found) | totals)
        return
    for name, text in _lines(found):
        print(f"{name:10}{text}")
    print()
    headers = ("TENSOR", "SHAPE", "DTYPE", "SIZE", "SHARDS")
    columns = len(headers) if found.kind == "sharded" else 4
    output.write_table(headers[:columns], [_cells(each)[:columns] for each in found.tensors])


def _cells(tensor: SavedTensor) -> tuple[str, ...]:
    from perceptrain_core.models.model_summary import size_text

    shape = " x ".join(map(str, tensor.shape)) or "-"
    return tensor.name, shape, tensor.dtype, size_text(tensor.bytes), str(tensor.shards)


def _lines(found: Description) -> list[tuple[str, str]]:
    """Return what is known about the run, and the size of each part."""
    from perceptrain_core.models.model_summary import size_text

    kinds = {
        "file": "one file",
        "sharded": f"a folder of {counted(found.files, 'file')}",
        "weights": "the weights of a model alone",
    }
    lines = [("path", found.path), ("kind", f"{kinds[found.kind]}, {size_text(found.bytes)}")]
    if found.epoch is not None:
        counts = [("epoch", found.epoch), ("batch", found.batch), ("step", found.step)]
        lines.append(("after", ", ".join(f"{name} {n}" for name, n in counts if n is not None)))
    if found.metrics:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in found.metrics.items())
        lines.append(("metrics", shown))
    if found.classes:
        lines.append(("run", ", ".join(f"{key} {name}" for key, name in found.classes.items())))
    if found.processes is not None:
        lines.append(("saved by", counted(found.processes, "process", "processes")))
    if found.versions:
        lines.append(("versions", ", ".join(f"{key} {v}" for key, v in found.versions.items())))
    for part in ("model", "optimizer"):
        tensors, values, size = found.size_of(part)
        if part in found.parts:
            figures = f"{values:,} values, {size_text(size)}"
            lines.append((part, f"{counted(tensors, 'tensor')}, {figures}"))
    others = [part for part in found.parts if part not in ("model", "optimizer")]
    if others:
        lines.append(("also", ", ".join(others)))
    return lines


def convert(
    path: Checkpoint,
    to: Annotated[
        Path, typer.Argument(metavar="TO", help="What to write: a file .pt, or a folder .dcp.")
    ],
    weights: Annotated[
        bool, typer.Option("--weights", help="Write only the weights of the model, a state_dict.")
    ] = False,
) -> None:
    """Convert a sharded checkpoint to one file, or one file to a sharded checkpoint.

    The new checkpoint holds the same values, and the old one is kept. Nothing is overwritten. A run
    resumes from both.
    """
    from perceptrain_core.checkpoints.conversion import convert as convert_checkpoint

    convert_checkpoint(path, to, weights)
    print(f"{to} has {'the weights' if weights else 'the content'} of {path}")
