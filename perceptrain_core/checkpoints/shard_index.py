"""The index of a sharded checkpoint: what is where in its files, checked before it is used."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.checkpoints.file import damaged, load_stream, plain, read_any, save_synced
from perceptrain_core.checkpoints.state_tree import is_outline, leaves
from perceptrain_core.errors import CheckpointError
from perceptrain_core.regular_file import is_special

FILE = "state.pt"
FORMAT = 1


@dataclass(frozen=True)
class Shard:
    """A part of a tensor in a file.

    Attributes:
        offsets: Where it begins in the tensor, for each dimension.
        sizes: Its shape.
        file: The name of the file in the folder.
        start: Where it begins in the file, in bytes.
        length: Its bytes in the file, in the format of ``torch.save``.
    """

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    file: str
    start: int
    length: int


@dataclass(frozen=True)
class ShardIndex:
    """Everything of a checkpoint but the values of the tensors that are in the shards.

    Attributes:
        state: The state; a tensor on the device "meta" stands for each tensor in the shards.
        names: The names of these tensors, in the order of their places in the state. Tensors that
            share their memory have the same name.
        shards: The parts of each tensor.
    """

    state: dict[str, Any]
    names: list[str]
    shards: dict[str, list[Shard]]

    def outlines(self) -> list[Tensor]:
        """Return the tensor on the device "meta" for each of the names."""
        return [leaf for _, leaf in leaves(self.state) if is_outline(leaf)]


def write_index(folder: Path, index: ShardIndex) -> None:
    """Write the index into the folder of the shards."""
    parts = {name: [astuple(shard) for shard in shards] for name, shards in index.shards.items()}
    content = {"state": plain(index.state), "names": index.names, "shards": parts}
    save_synced(folder / FILE, {"sharded": FORMAT, **content})


def read_index(folder: Path) -> ShardIndex:
    """Read and check the index; nothing in it is executed.

    Raises:
        CheckpointError: It does not exist, cannot be read, or contradicts itself or the files.
    """
    path = folder / FILE
    if folder.is_dir() and not path.exists():
        raise CheckpointError(f"{folder} is not a checkpoint of Perceptrain: it has no {FILE}.")
    content = read_any(path)
    if not isinstance(content, dict) or "sharded" not in content:
        raise CheckpointError(f"{path} is not the index of a sharded checkpoint: use another one.")
    if content["sharded"] != FORMAT:
        raise CheckpointError(
            f"{folder} has the format {content['sharded']!r:.60}; this version reads {FORMAT}. "
            "Use the version of Perceptrain that wrote it."
        )
    try:
        index = _parsed(content)
        _check_tensors(index)
        _check_files(folder, [shard for shards in index.shards.values() for shard in shards])
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise damaged(folder, error) from error
    return index


def _parsed(content: dict[str, Any]) -> ShardIndex:
    state, names, parts = content["state"], content["names"], content["shards"]
    if type(state) is not dict or not all(isinstance(name, str) for name in names):
        raise ValueError("its index does not hold a state and names")
    return ShardIndex(
        state,
        list(names),
        {name: [Shard(*shard) for shard in shards] for name, shards in parts.items()},
    )


def _check_tensors(index: ShardIndex) -> None:
    outlines = index.outlines()
    if len(outlines) != len(index.names):
        raise ValueError(f"its state has {len(outlines)} tensors, its index {len(index.names)}")
    kinds: dict[str, Any] = {}
    for name, outline in zip(index.names, outlines, strict=True):
        kind = outline.shape, outline.dtype
        if name not in kinds:
            _check_cover(name, outline, index.shards[name])
        if kinds.setdefault(name, kind) != kind:
            raise ValueError(f"{name} has two shapes")


def _check_cover(name: str, outline: Tensor, shards: Sequence[Shard]) -> None:
    """Raise unless the shards fill the tensor, each element once."""
    for shard in shards:
        if not all(map(_are_counts, (shard.offsets, shard.sizes, (shard.start, shard.length)))):
            raise ValueError(f"a shard of {name} is not described by numbers")
        ends = [a + b for a, b in zip(shard.offsets, shard.sizes, strict=True)]
        if not all(end <= size for end, size in zip(ends, outline.shape, strict=True)):
            raise ValueError(f"a shard of {name} reaches beyond the tensor")
        if prod(shard.sizes) * outline.dtype.itemsize > shard.length:
            raise ValueError(f"a shard of {name} is larger than its bytes")
    full = [shard for shard in shards if prod(shard.sizes)]
    if sum(prod(shard.sizes) for shard in full) != outline.numel():
        raise ValueError(f"the shards of {name} do not fill it")
    if _any_overlap(full):
        raise ValueError(f"shards of {name} overlap")


def _are_counts(numbers: Iterable[Any]) -> bool:
    return all(type(number) is int and number >= 0 for number in numbers)


def _any_overlap(shards: Sequence[Shard]) -> bool:
    """Whether shards overlap; each is compared only with those that begin before it ends."""
    near: list[Shard] = []
    for shard in sorted(shards, key=lambda shard: shard.offsets):
        near = [each for each in near if _ends_after(each, shard)]
        if any(_overlap(each, shard) for each in near):
            return True
        near.append(shard)
    return False


def _ends_after(one: Shard, other: Shard) -> bool:
    """Whether a shard ends after the start of another, along the first dimension."""
    return not one.offsets or one.offsets[0] + one.sizes[0] > other.offsets[0]


def _overlap(one: Shard, other: Shard) -> bool:
    sides = zip(one.offsets, one.sizes, other.offsets, other.sizes, strict=True)
    return all(a < b + size_b and b < a + size_a for a, size_a, b, size_b in sides)


def _check_files(folder: Path, shards: Iterable[Shard]) -> None:
    """Raise unless each shard is in a file of the folder, and has its bytes for itself."""
    files = defaultdict(list)
    for shard in shards:
        files[shard.file].append((shard.start, shard.start + shard.length))
    for name, ranges in files.items():
        path = folder / name
        if Path(name).name != name or is_special(path) or path.is_dir():
            raise ValueError(f"{name!r:.60} is not a file in the folder")
        if not path.exists():
            raise ValueError(f"its file {name} is missing")
        if max(end for _, end in ranges) > path.stat().st_size:
            raise ValueError(f"its file {name} is cut off")
        if any(second[0] < first[1] for first, second in pairwise(sorted(ranges))):
            raise ValueError(f"shards in {name} share bytes")


def read_shard(folder: Path, shard: Shard, dtype: torch.dtype) -> Tensor:
    """Read a part of a tensor, with its checksum.

    Raises:
        CheckpointError: It is damaged.
    """
    path = folder / shard.file
    try:
        with path.open("rb") as file:
            file.seek(shard.start)
            content = file.read(shard.length)
        part = load_stream(io.BytesIO(content), len(content))
        if type(part) is not Tensor or part.shape != shard.sizes or part.dtype != dtype:
            raise ValueError("a shard is not the tensor that the index names")
    except Exception as error:
        raise damaged(path, error) from error
    return part
