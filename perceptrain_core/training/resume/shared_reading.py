"""Read a checkpoint in several processes: each its share of a sharded model, and the rest once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from perceptrain_core.checkpoints.kinds import Shares, is_folder_of_shards, read_checkpoint
from perceptrain_core.checkpoints.processes import Processes
from perceptrain_core.checkpoints.state_tree import Place, is_outline, replaced
from perceptrain_core.engine import Engine
from perceptrain_core.engine.scattering import Scatter, empty_share
from perceptrain_core.errors import CheckpointError
from perceptrain_core.parameters import parameters_of
from perceptrain_core.tensors import is_sharded

# Bytes of a tensor that is sent by itself; smaller ones travel together.
_LARGE = 2**16

Found = tuple[Path, dict[str, Any]]
Search = Callable[[Callable[[Path], dict[str, Any]]], Found | None]


def find_together(engine: Engine, search: Search, shares: Shares | None) -> Found | None:
    """Let the first process search for a checkpoint, and all of them read what it tries.

    Args:
        engine: Connects the processes, of which there are several.
        search: ``search(read)`` returns the path and the content of the checkpoint; called in the
            first process.
        shares: For a sharded model, what each process reads of a tensor.

    Raises:
        CheckpointError: There are checkpoints, but none can be read; in all processes.
        Exception: As raised by ``search``, in the first process; in the others a `CheckpointError`.
    """
    if engine.rank > 0:
        return _follow(engine, shares)

    def read(path: Path) -> dict[str, Any]:
        engine.broadcast(path)
        return _read_together(engine, path, shares)

    try:
        found = search(read)
    except Exception as error:
        known = isinstance(error, CheckpointError)
        # Errors of other classes may not survive the journey.
        text = str(error) if known else f"process 0 failed: {type(error).__name__}: {error}"
        engine.broadcast(CheckpointError(text))
        raise
    engine.broadcast(None if found is None else (found[0],))
    return found


def _follow(engine: Engine, shares: Shares | None) -> Found | None:
    """Read what the first process tries, until it has found a checkpoint."""
    state: dict[str, Any] = {}
    while True:
        told: Any = engine.broadcast(None)
        if isinstance(told, CheckpointError):
            raise told
        if not isinstance(told, Path):
            return None if told is None else (told[0], state)
        try:
            state = _read_together(engine, told, shares)
        except (CheckpointError, OSError):  # the first process warns of it, and tries another
            state = {}


def _read_together(engine: Engine, path: Path, shares: Shares | None) -> dict[str, Any]:
    """Read a checkpoint; all processes return it, or raise an error.

    A folder of shards is read by all, for a sharded model. Everything else is read by the first,
    which sends it to the others; of a sharded model they get their shares.
    """
    processes = Processes()
    if shares is not None and processes.first(lambda: is_folder_of_shards(path)):
        states: list[dict[str, Any]] = []
        processes.share(lambda: states.append(read_checkpoint(path, shares)))
        return states[0]
    tensors: list[Tensor] = []
    outline = processes.first(lambda: _taken_out(read_checkpoint(path), tensors))
    return _sent(engine, outline, tensors, shares)


def _taken_out(state: dict[str, Any], tensors: list[Tensor]) -> dict[str, Any]:
    """Replace large tensors by outlines on the device "meta"."""

    def take(_: Place, leaf: Any) -> Any:
        plain = type(leaf) is Tensor and leaf.layout is torch.strided and not leaf.is_quantized
        if not plain or leaf.nbytes < _LARGE or leaf.is_conj() or leaf.is_neg():
            return leaf
        tensors.append(leaf)
        return torch.empty(leaf.shape, dtype=leaf.dtype, device="meta")

    outline: dict[str, Any] = replaced(state, take)
    return outline


def _sent(
    engine: Engine, outline: dict[str, Any], tensors: list[Tensor], shares: Shares | None
) -> dict[str, Any]:
    """Send the tensors of the first process to all, or their shares, and drop them there."""
    scatter = Scatter(engine.device)
    tensors.reverse()

    def send(place: Place, leaf: Any) -> Any:
        if not is_outline(leaf):
            return leaf
        own = tensors.pop() if engine.rank == 0 else leaf
        if shares is not None and shares(place, leaf) is not None:
            return scatter(own)
        whole = torch.empty_like(leaf, device=engine.device) if own.is_meta else own
        whole = whole.to(engine.device).contiguous()
        # Gloo does not know all dtypes.
        dist.broadcast(whole.view(-1).view(torch.uint8), src=0)
        return whole.cpu()

    state: dict[str, Any] = replaced(outline, send)
    return state


class SharesOf:
    """Which saved tensors a sharded model, its average and its optimizer have shares of.

    Args:
        modules: The model and its average.
        optimizer: The optimizer.
    """

    def __init__(self, modules: list[nn.Module], optimizer: Any) -> None:
        named = [item for module in modules for item in module.state_dict().items()]
        self._named = {name: value for name, value in named if is_sharded(value)}
        divided = [p for p in parameters_of(optimizer) if is_sharded(p)]
        self._like = {p.shape: p for p in divided}

    def __call__(self, place: Place, saved: Tensor) -> Any:
        """Return an empty ``DTensor`` for a saved tensor that is divided, ``None`` for others."""
        found = self._named.get(place[-1])
        if found is None and place[-3:-2] == ("state",):  # of a parameter, in an optimizer
            found = self._like.get(saved.shape)
        return None if found is None else empty_share(found, saved)
