"""How a run differs from the checkpoint that it resumes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.errors import CheckpointError
from perceptrain_core.plurals import counted
from perceptrain_core.registry.selection import BUILTIN_DISTRIBUTION
from perceptrain_core.training.resume.data_position import DataPosition
from perceptrain_core.user_warnings import warn_user

#: The parts that every run has; others may be added on resuming.
_PARTS = ("model", "loss", "optimizer", "weighting")
#: The settings that affect the numbers of a run.
_SETTINGS = (
    "accumulate",
    "batch_size",
    "compile",
    "deterministic",
    "drop_last",
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
    "val_every_steps",
)


def warn_of_changes(
    path: Path, saved: Mapping[str, Any], now: Mapping[str, Any], callbacks: Iterable[Callback]
) -> None:
    """Warn of differences that make the resumed run differ from an uninterrupted one.

    Args:
        path: The checkpoint.
        saved: Its content: settings, classes and provenance of the parts, state of callbacks.
        now: The same of the resuming run.
        callbacks: The callbacks of the resuming run.

    Warns:
        UserWarning: Parts of another class or version, other settings, saved states without a
            callback, or callbacks without a saved state.
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
    _warn(path, "was saved with different parts", parts)
    groups = zip(saved["optimizer_options"], now["optimizer_options"], strict=False)
    options = [line for there, here in groups for line in _changed(there, here, there)]
    what = "was saved with different optimizer options; the run resumes with the saved ones"
    _warn(path, what, list(dict.fromkeys(options)) if saved["classes"] == now["classes"] else [])
    _warn(
        path,
        "was saved with different settings",
        _changed(saved["config"], now["config"], _SETTINGS),
    )
    own = callback_names(callbacks)
    lost = [name for name, state in saved["callbacks"].items() if state and name not in own]
    _warn(path, "holds the state of callbacks that this run does not have; it is dropped", lost)
    new = [n for n, c in own.items() if n not in saved["callbacks"] and c.state_dict()]
    _warn(path, "has no state for these callbacks, which start fresh", new)


def warn_of_versions(path: Path, saved: Mapping[str, Any], now: Mapping[str, str]) -> None:
    """Warn of versions that differ from those that a checkpoint was saved with.

    Args:
        path: The checkpoint.
        saved: Its content.
        now: The versions of the resuming run.
    """
    lines = _changed(saved.get("versions", {}), now, sorted(now))
    _warn(path, "was saved with different versions", lines)


def _supplier(provenance: Mapping[str, Any], part: str) -> str:
    return str(provenance[part]["name"]) if part in provenance else "from no plugin"


def _is_of_plugin(part: str, *sides: Mapping[str, Any]) -> bool:
    """Whether a plugin supplied the part on one side; built-in parts may be passed as objects."""
    core = (BUILTIN_DISTRIBUTION, None)
    suppliers = [side[part]["distribution"] for side in sides if part in side]
    return part in _PARTS and any(supplier not in core for supplier in suppliers)


def check_processes(
    path: Path, position: DataPosition, processes: list[dict[str, Any]], now: int
) -> bool:
    """Compare the processes and their training data with those of the saved run.

    Returns:
        Whether there are as many processes, so that each finds its own position.

    Raises:
        CheckpointError: The checkpoint was saved inside an epoch, and the data differ; or there
            were more or fewer processes, and they cannot share the rest of the epoch.

    Warns:
        UserWarning: The number of processes differs; or the data differ, and the checkpoint was
            saved between two epochs.
    """
    then, saved = len(processes), processes[0]["position"]
    if then != now and saved["batch"] and not position.can_be_shared(saved):
        raise CheckpointError(
            f"{path} was saved inside an epoch by {counted(then, 'process', 'processes')}, and "
            f"there {'is' if now == 1 else 'are'} {now} now, which cannot share the rest of the "
            "epoch: the data are a dict of loaders, have persistent workers, or yield the share of "
            "a process already. Resume with the same number, or from the end of an epoch."
        )
    changed = position.differences(saved, shared=then != now)
    if changed and saved["batch"]:
        raise CheckpointError(
            f"{path} was saved inside an epoch, and the training data differ: "
            f"{'; '.join(changed)}. Pass the data that the run was started with, or resume from "
            "the end of an epoch."
        )
    _warn(path, "was saved with different training data", changed)
    if then != now:
        sizes = saved["data"].get("batch_size"), position.batch_size
        _warn(path, "was saved by a different number of processes", [_sharing(then, now, *sizes)])
    return then == now


def _sharing(then: int, now: int, size_then: int | None, size_now: int | None) -> str:
    text = f"{then} then, {now} now: the data are shared anew, and random numbers differ"
    if not size_then or not size_now or then * size_then == now * size_now:
        return text
    rows = f"{now * size_now} rows instead of {then * size_then}"
    return f"{text}; the processes together use {rows} at a time"


def callback_names(callbacks: Iterable[Callback]) -> dict[str, Callback]:
    """Name each callback by its class, with a number from the second of a class on."""
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
        warn_user(f"{path.name} {what}; {'; '.join(lines)}.")
