"""Whether training follows gradients: the optimizer decides, and a flag can only contradict it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import TrainingError
from perceptrain_core.optimizers.ask_tell import is_search
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
