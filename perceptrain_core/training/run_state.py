"""How far a run is and how it ended: what a fit leaves behind, beside the trained parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, overload

from perceptrain_core.analysis.history import History
from perceptrain_core.types import OptimizeResult

Value = TypeVar("Value")


@dataclass
class RunState:
    """The counters and the outcome of a run; the trainer shows each field as its own attribute.

    Attributes:
        opt_result: What callbacks see of the last step or epoch.
        history: One row of floats per complete epoch.
        validations: With ``val_every_steps``, one row per validation.
        current_epoch: The epoch in training, counted from 1; after the fit, the last complete one.
        global_step: Optimizer steps so far.
        batches_seen: Training batches so far, including skipped ones.
        stop_training: Set to true to stop after the step, or outside of steps after the epoch.
        interrupted: Whether Ctrl-C or SIGTERM ended the fit.
        stop_signal: The name of that signal, or ``None``.
        test_metrics: The metrics of the latest test, over all its data.
        log_folder: The folder of the run, once one is chosen.
    """

    opt_result: OptimizeResult
    history: History = field(default_factory=History)
    validations: list[dict[str, float]] = field(default_factory=list)
    current_epoch: int = 0
    global_step: int = 0
    batches_seen: int = 0
    stop_training: bool = False
    interrupted: bool = False
    stop_signal: str | None = None
    test_metrics: dict[str, float] = field(default_factory=dict)
    log_folder: Path | None = None


class PartAttribute(Generic[Value]):
    """An attribute of the trainer that accepts what its constructor accepts, at any time.

    Args:
        resolve: ``resolve(trainer, given)`` returns the part, or raises an error.
    """

    def __init__(self, resolve: Callable[[Any, Any], Value]) -> None:
        self._resolve = resolve

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, trainer: None, owner: type) -> Self: ...
    @overload
    def __get__(self, trainer: Any, owner: type) -> Value: ...
    def __get__(self, trainer: Any, owner: type) -> Any:
        """Return the part."""
        if trainer is None:
            return self
        try:
            return vars(trainer)[self._name]
        except KeyError:
            raise AttributeError(f"The trainer has no {self._name} yet.") from None

    def __set__(self, trainer: Any, given: Any) -> None:
        """Check and convert what is given."""
        vars(trainer)[self._name] = self._resolve(trainer, given)


class StateAttribute(Generic[Value]):
    """An attribute of the trainer that is stored in its `RunState`, under the same name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, trainer: None, owner: type) -> Self: ...
    @overload
    def __get__(self, trainer: Any, owner: type) -> Value: ...
    def __get__(self, trainer: Any, owner: type) -> Any:
        """Read the field."""
        return self if trainer is None else getattr(trainer.run_state, self._name)

    def __set__(self, trainer: Any, value: Value) -> None:
        """Write the field."""
        setattr(trainer.run_state, self._name, value)
