"""What callbacks see of the trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from torch import nn

from perceptrain_core.analysis.history import History
from perceptrain_core.config import TrainConfig
from perceptrain_core.engine import Engine
from perceptrain_core.types import OptimizeResult


class TrainerContext(Protocol):
    """A run as callbacks see it; the trainer is one."""

    config: TrainConfig
    model: nn.Module
    optimizer: Any
    loss_fn: Any
    opt_result: OptimizeResult
    history: History
    current_epoch: int
    global_step: int
    stop_training: bool
    engine: Engine
    train_dataloader: Any
    val_dataloader: Any
    test_dataloader: Any

    @property
    def averaged_model(self) -> Any:
        """With ``config.ema``, the moving average of the model."""
        ...

    @property
    def log_folder(self) -> Path:
        """The folder of this run."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint has to hold."""
        ...
