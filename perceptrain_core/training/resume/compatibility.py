"""What has changed from the run in a checkpoint to the one that goes on from it."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.errors import CheckpointError
from perceptrain_core.registry.selection import BUILTIN_DISTRIBUTION
from perceptrain_core.training.resume.data_position import Feed

#: The parts that a run always has; of others some may be added.
_PARTS = ("model", "loss", "optimizer", "weighting")
#: The settings that the numbers of a run depend on.
_SETTINGS = (
    "accumulate",
    "batch_size",
    "deterministic",
    "dtype",
    "ema",
    "grad_clip",
    "grad_clip_value",
    "lr_scheduler",
    "on_nonfinite",
    "precision",
    "seed",
    "shuffle",
    "val_every",
)


def tell_changes(
    path: Path, saved: Mapping[str, Any], now: Mapping[str, Any], callbacks: Iterable[Callback]
) -> None:
    """Warn of what will make a run other than one that was never stopped.

    Args:
        path: The checkpoint.
        saved: What it holds: settings, classes and provenance of the parts, state of callbacks.
        now: The same of the run that resumes.
        callbacks: Those of the run that resumes.

    Warns:
        UserWarning: Parts of another class or version, other settings, callbacks whose state finds
            no owner, or that find none.
    """
    then = saved["provenance"]
    here = now["provenance"]
    parts = [
        f"{part}: {_supplier(then, part)} then, {_supplier(here, part)} now"
        for part in sorted(then.keys() | here.keys())
        if _supplier(then, part) != _supplier(here, part)
        and (part in then.keys() & here.keys() or _is_of_plugin(part, then, here))
    ]
    parts += _changed(saved["classes"], now["classes"], sorted(now["classes"]))
    _warn(path, "was made with other parts", parts)
    groups = zip(saved["optimizer_options"], now["optimizer_options"], strict=False)
    options = [line for there, here in groups for line in _changed(there, here, there)]
    what = "was made with other options of the optimizer, and goes on with those of then"
    _warn(path, what, list(dict.fromkeys(options)) if saved["classes"] == now["classes"] else [])
    _warn(path, "was made with other settings", _changed(saved["config"], now["config"], _SETTINGS))
    own = callback_names(callbacks)
    lost = [name for name, state in saved["callbacks"].items() if state and name not in own]
    _warn(path, "holds the state of callbacks that are not there, which is lost", lost)
    new = [n for n, c in own.items() if n not in saved["callbacks"] and c.state_dict()]
    _warn(path, "has no state for callbacks, which begin anew", new)


def tell_versions(path: Path, saved: Mapping[str, Any], now: Mapping[str, str]) -> None:
    """Warn of versions that are others than those that a checkpoint was made with.

    Args:
        path: The checkpoint.
        saved: What it holds.
        now: The versions of the run that resumes.
    """
    lines = _changed(saved.get("versions", {}), now, sorted(now))
    _warn(path, "was made with other versions", lines)


def _supplier(provenance: Mapping[str, Any], part: str) -> str:
    return str(provenance[part]["name"]) if part in provenance else "of no plugin"


def _is_of_plugin(part: str, *sides: Mapping[str, Any]) -> bool:
    """Whether a plugin supplied it on one side; what is built in may be given as an object too."""
    core = (BUILTIN_DISTRIBUTION, None)
    suppliers = [side[part]["distribution"] for side in sides if part in side]
    return part in _PARTS and any(supplier not in core for supplier in suppliers)


def check_data(path: Path, feed: Feed, saved: Mapping[str, Any]) -> None:
    """Compare the data with those of the run that was saved.

    Raises:
        CheckpointError: They are others, and the checkpoint is from the midst of an epoch.

    Warns:
        UserWarning: They are others, and it is from between two epochs.
    """
    changed = feed.differences(saved)
    if changed and saved["batch"]:
        raise CheckpointError(
            f"{path} is from the midst of an epoch, and the training data are others: "
            f"{'; '.join(changed)}. Give those that the run was started with, or resume from the "
            "end of an epoch."
        )
    _warn(path, "was made with other training data", changed)


def check_processes(path: Path, then: int, now: int, batch: int) -> bool:
    """Say whether there are as many processes as then, and each finds its own place.

    Raises:
        CheckpointError: There are not, and the checkpoint is from the midst of an epoch.

    Warns:
        UserWarning: There are not, and it is from between two epochs.
    """
    if then != now and batch:
        raise CheckpointError(
            f"{path} is from the midst of an epoch, and the processes were {then} then and are "
            f"{now} now. Resume it in as many, or from the end of an epoch."
        )
    changed = f"{then} then, {now} now: random numbers and the order of the data start anew"
    _warn(path, "was made by other processes", [changed] if then != now else [])
    return then == now


def callback_names(callbacks: Iterable[Callback]) -> dict[str, Callback]:
    """Name each callback by its class, and by a number where there are several of it."""
    seen: Counter[str] = Counter()
    names = {}
    for callback in callbacks:
        kind = type(callback).__name__
        seen[kind] += 1
        names[kind if seen[kind] == 1 else f"{kind} {seen[kind]}"] = callback
    return names


def _changed(then: Mapping[str, Any], now: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [
        f"{name}: {then[name]} then, {now[name]} now"
        for name in names
        if name in then and then[name] != now[name]
    ]


def _warn(path: Path, what: str, lines: list[str]) -> None:
    if lines:
        warnings.warn(f"{path.name} {what}; {'; '.join(lines)}.", stacklevel=5)
