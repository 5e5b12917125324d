"""Settings that second-order optimizers cannot use."""

from __future__ import annotations

from typing import Any

from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import TrainingError
from perceptrain_core.optimizer_steps import is_second_order, stages_of


def check_second_order(config: TrainConfig, optimizer: Any) -> None:
    """Refuse settings that a second-order optimizer cannot use.

    In a sequence of optimizers, a precision that one of them cannot use is refused; clipping
    applies to the steps of the others. Schedules of learning rates are refused where they are
    created, in ``schedules/rates.py``.

    Raises:
        TrainingError: A setting does not fit.
    """
    kinds = {type(stage).__name__: is_second_order(stage) for stage in stages_of(optimizer)}
    name = next((kind for kind, is_second_order in kinds.items() if is_second_order), None)
    if name is not None and config.precision != "full":
        raise TrainingError(
            f"precision={config.precision!r}: {name} compares losses to many digits, and needs "
            'them in float64: use precision="full", and dtype="float64".'
        )
    clips = config.grad_clip is not None or config.grad_clip_value is not None
    if clips and all(kinds.values()):
        raise TrainingError(
            f"grad_clip={config.grad_clip}, grad_clip_value={config.grad_clip_value}: {name} "
            "chooses the length of its steps, and needs the gradients as they are. Leave the "
            "clipping out."
        )
