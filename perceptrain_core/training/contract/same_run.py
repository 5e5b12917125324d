"""Check at the start of a fit that all processes train the same model on the same data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from perceptrain_core.data import Epochs
from perceptrain_core.data.position.fingerprint import fingerprint
from perceptrain_core.data.support.loader_length import length_of
from perceptrain_core.engine import Engine
from perceptrain_core.engine.kept_share import KeptShare
from perceptrain_core.engine.shares import LoaderOfShare
from perceptrain_core.errors import TrainingError

_SAME_PARTS = "Create the same model, loss and optimizer in all processes."
_SAME_DATA = (
    "Pass the same training data in all processes: each gets its share of them. If a loader yields "
    "the share of its process already, set an attribute sharded = True on it."
)


def check_same_run(
    engine: Engine, model: nn.Module, loss_fn: object, optimizer: object, train: Epochs
) -> None:
    """Compare the parameters and the data of all processes, which would hang if they differ.

    All processes call this, and raise the same error.

    Args:
        engine: Connects the processes.
        model: The model.
        loss_fn: The loss.
        optimizer: The optimizer.
        train: The training data.

    Raises:
        TrainingError: Something differs; the message names it, and the processes.
    """
    if engine.world_size == 1:
        return
    own = _parameters(model, loss_fn), _groups(optimizer), _lengths(train.loader)
    everywhere = engine.gather([dict(described) for described in own])
    for number, advice in enumerate((_SAME_PARTS, _SAME_PARTS, _SAME_DATA)):
        _compare([each[number] for each in everywhere], advice)


def _parameters(model: nn.Module, loss_fn: object) -> Iterator[tuple[str, str]]:
    """Describe the parameters by name."""
    for part, module in (("model", model), ("loss", loss_fn)):
        for name, p in module.named_parameters() if isinstance(module, nn.Module) else ():
            frozen = "" if p.requires_grad else ", frozen"
            described = f"of shape {tuple(p.shape)} and {p.dtype}{frozen}"
            yield f"parameter {name!r} of the {part}", described


def _groups(optimizer: object) -> Iterator[tuple[str, str]]:
    for number, group in enumerate(getattr(optimizer, "param_groups", ())):
        numel = sum(p.numel() for p in group["params"])
        described = f"{len(group['params'])} parameters with {numel} elements"
        yield f"group {number} of the optimizer", described


def _lengths(loader: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """Return how long the data are, as far as it is known and has to be the same."""
    parts = getattr(loader, "dataloaders", None)
    if isinstance(parts, Mapping):
        for key, part in parts.items():
            yield from _lengths(part, f" {key!r}")
        return
    described = fingerprint(loader)
    if isinstance(loader, LoaderOfShare) and not isinstance(loader, KeptShare):
        described["batches"] = length_of(loader.loader)
    elif isinstance(loader, KeptShare):
        described.pop("rows", None)  # those of its share, or of all
    for what in ("batches", "rows"):
        if described.get(what) is not None:
            yield f"the number of {what} in the training data{name}", described[what]


def _compare(found: list[dict[str, Any]], advice: str) -> None:
    for what in dict.fromkeys(what for each in found for what in each):
        ranks: dict[Any, list[int]] = {}
        for rank, each in enumerate(found):
            ranks.setdefault(each.get(what, "missing"), []).append(rank)
        if len(ranks) > 1:
            values = "; ".join(f"{value} in {_processes(own)}" for value, own in ranks.items())
            raise TrainingError(f"The processes differ in {what}: {values}. {advice}")


def _processes(ranks: list[int]) -> str:
    *first, last = map(str, ranks)
    return f"processes {', '.join(first)} and {last}" if first else f"process {last}"
