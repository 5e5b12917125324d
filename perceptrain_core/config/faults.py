"""Readable validation errors: what is wrong, the value, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar

from pydantic import ValidationError

from perceptrain_core.errors import ConfigError
from perceptrain_core.suggestions import did_you_mean, nearest

Settings = TypeVar("Settings", bound=type)

_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument", "no_such_attribute"}

#: What other libraries call a setting, and its name here.
_OTHER_NAMES = {
    **dict.fromkeys(("epoch", "epochs", "n_epochs", "num_epochs", "max_epochs"), "max_iter"),
    **dict.fromkeys(("iterations", "n_iter", "steps", "max_steps"), "max_iter"),
    **dict.fromkeys(("device", "accelerator"), "compute_setup"),
    **dict.fromkeys(("tracker", "logger"), "tracking_tool"),
    **dict.fromkeys(("gradient_clip", "clip_grad", "gradient_clip_val"), "grad_clip"),
    **dict.fromkeys(("amp", "mixed_precision"), "precision"),
    **dict.fromkeys(("scheduler", "lr_schedule"), "lr_scheduler"),
    **dict.fromkeys(("val_interval", "check_val_every_n_epoch"), "val_every"),
    **dict.fromkeys(("save_every", "checkpoint_interval"), "checkpoint_every"),
    **dict.fromkeys(("log_dir", "output_dir"), "log_folder"),
    "accumulate_grad_batches": "accumulate",
}
#: Settings of something else, and what that is.
_ELSEWHERE = {
    **dict.fromkeys(
        ("lr", "learning_rate", "weight_decay", "momentum"), "it is an option of the optimizer"
    ),
    **dict.fromkeys(("patience", "early_stopping"), "use the callback early_stopping"),
    **dict.fromkeys(
        ("optimizer", "model", "loss", "loss_fn", "metrics"), "it is an argument of the Trainer"
    ),
    **dict.fromkeys(("num_workers", "drop_last"), "it is an option of the DataLoader"),
}


def describe_faults(error: ValidationError, known: Iterable[str], prefix: str = "") -> list[str]:
    """Return one line for each fault.

    Args:
        error: What pydantic found.
        known: The allowed names, for unknown ones.
        prefix: Put before the path of each fault, e.g. ``"train."``.
    """
    names = list(known)
    return [_describe(fault, names, prefix) for fault in error.errors(include_url=False)]


def _describe(fault: Any, known: list[str], prefix: str) -> str:
    path = [str(part) for part in fault["loc"] if not str(part).startswith("function-")]
    where = prefix + _place(fault["loc"], path)
    if fault["type"] in _UNKNOWN:
        return f"{where}: unknown setting; {_hint(path[-1], known)}"
    message = fault["msg"]
    own = message.removeprefix("Value error, ")
    message = own if own != message else message[0].lower() + message[1:]
    given = "" if fault["type"] in {"value_error", "missing"} else f", not {fault['input']!r}"
    return f"{where}: {message}{given}{_suggestion(fault)}" if where else message


def _suggestion(fault: Any) -> str:
    """Return the nearest of several allowed strings as a sentence; empty if none is near."""
    if fault["type"] != "literal_error" or not isinstance(fault["input"], str):
        return ""
    hint = did_you_mean(fault["input"], re.findall("'([^']+)'", fault["ctx"]["expected"]))
    return f".{hint}" if hint else ""


def _place(loc: tuple[Any, ...], path: list[str]) -> str:
    """Return the path of a fault; a table of an array as ``[[callbacks]] 2, key``."""
    if len(loc) > 2 and len(path) == len(loc) and isinstance(loc[1], int):
        return f"[[{path[0]}]] {loc[1] + 1}, {'.'.join(path[2:])}"
    return ".".join(path)


def _hint(name: str, known: list[str]) -> str:
    if _OTHER_NAMES.get(name) in known:
        return f"did you mean {_OTHER_NAMES[name]!r}?"
    if name in _ELSEWHERE and "max_iter" in known:
        return _ELSEWHERE[name]
    return nearest(name, known) or f"allowed are {', '.join(known)}"


def reports_every_fault(cls: Settings) -> Settings:
    """Make a validated dataclass raise one ``ConfigError`` that lists every fault."""
    known = [field.name for field in fields(cls)]

    def reporting(method: Callable[..., None]) -> Callable[..., None]:
        @wraps(method)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                method(self, *args, **kwargs)
            except ValidationError as error:
                faults = "\n".join(f"  {line}" for line in describe_faults(error, known))
                raise ConfigError(f"{cls.__name__} is invalid:\n{faults}") from None

        return wrapper

    for name in ("__init__", "__setattr__"):
        setattr(cls, name, reporting(getattr(cls, name)))
    return cls
