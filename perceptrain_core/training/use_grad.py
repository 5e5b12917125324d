"""Whether training follows gradients: the optimizer decides, and a flag can only contradict it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import TrainingError
from perceptrain_core.optimizers.ask_tell import is_search
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.provenance import provenance
from perceptrain_core.training.steppers.candidates import check_search_settings


class SetUseGrad:
    """`Trainer.set_use_grad`, which can be called on the class or on an object."""

    def __get__(self, trainer: Any, owner: type) -> Callable[[bool], None]:
        """Return the function."""

        def set_use_grad(flag: bool) -> None:
            """Say whether gradients are to be used; only the optimizer decides that.

            Called on an object, a flag that contradicts its optimizer makes the next fit raise a
            `TrainingError`. Called on the class, it has no effect on any trainer.
            """
            if trainer is not None:
                trainer._expects_gradients = bool(flag)

        return set_use_grad


class _Switched(TrainingContext, Protocol):
    """A trainer as its switch sees it."""

    _expects_gradients: bool | None

    def _optimizing_with(self, optimizer: Any, use_grad: bool) -> AbstractContextManager[None]: ...


class GradientSwitch:
    """The methods of a `Trainer` that choose between training with and without gradients."""

    set_use_grad = SetUseGrad()
    _expects_gradients: bool | None = None

    @property
    def use_grad(self: TrainingContext) -> bool:
        """Whether training follows gradients; the optimizer decides."""
        return not is_search(self.optimizer)

    def disable_grad_opt(self: _Switched, optimizer: Any = None) -> AbstractContextManager[None]:
        """Train without gradients inside a ``with`` block; then restore the optimizer.

        Args:
            optimizer: A search, the name of one, or an optimizer of nevergrad; by default the
                trainer's.

        Raises:
            TrainingError: The optimizer follows gradients.
        """
        return self._optimizing_with(optimizer, use_grad=False)

    def enable_grad_opt(self: _Switched, optimizer: Any = None) -> AbstractContextManager[None]:
        """Train with gradients inside a ``with`` block; then restore the optimizer.

        Args:
            optimizer: An optimizer of torch, or the name of one; by default the trainer's.

        Raises:
            TrainingError: The optimizer uses no gradients.
        """
        return self._optimizing_with(optimizer, use_grad=True)

    @contextmanager
    def _optimizing_with(self: _Switched, optimizer: Any, use_grad: bool) -> Iterator[None]:
        before = self.optimizer, self._expects_gradients, self.provenance
        if optimizer is not None:
            self.optimizer = optimizer
            others = {part: e for part, e in self.provenance.items() if part != "optimizer"}
            self.provenance = others | provenance({"optimizer": self.optimizer})
        self._expects_gradients = use_grad
        try:
            check_use_grad(self.config, self.optimizer, use_grad)
            yield
        finally:
            self.optimizer, self._expects_gradients, self.provenance = before


def check_use_grad(config: TrainConfig, optimizer: Any, expected: bool | None) -> None:
    """Refuse flags and settings that contradict the optimizer.

    Args:
        config: The settings.
        optimizer: The optimizer, or ``None``.
        expected: Whether gradients are to be used; ``None`` if nothing was said.

    Raises:
        TrainingError: The optimizer contradicts ``expected``.
        ConfigError: A setting only works with gradients, and the optimizer uses none.
    """
    if optimizer is None:
        return
    uses = not is_search(optimizer)
    if expected not in (None, uses):
        does = "follows gradients" if uses else "uses no gradients"
        raise TrainingError(
            f"use_grad={expected} was requested, but the optimizer, {type(optimizer).__name__}, "
            f"{does}. The optimizer decides: use another one, or leave use_grad alone."
        )
    if not uses:
        check_search_settings(config)
