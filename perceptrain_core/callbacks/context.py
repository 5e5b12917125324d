"""What callbacks see of the trainer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import nn
from torch.optim.swa_utils import AveragedModel

from perceptrain_core.analysis.history import History
from perceptrain_core.checkpoints.writer import CheckpointWriter
from perceptrain_core.config import TrainConfig
from perceptrain_core.engine import Engine
from perceptrain_core.metrics import Metric
from perceptrain_core.types import Loader, LossFunction, OptimizeResult


class TrainerContext(Protocol):
    """The run that a callback belongs to; the trainer implements this."""

    config: TrainConfig
    model: nn.Module
    optimizer: Any  # an optimizer of torch or a gradient-free search
    loss_fn: LossFunction
    opt_result: OptimizeResult
    history: History
    current_epoch: int
    global_step: int
    stop_training: bool
    engine: Engine
    metrics: Mapping[str, Metric]  # over all validation or test data, by label
    train_dataloader: Loader | None
    val_dataloader: Loader | None
    test_dataloader: Loader | None

    @property
    def averaged_model(self) -> AveragedModel | None:
        """With ``config.ema``, the moving average of the model."""
        ...

    @property
    def checkpoint_writer(self) -> CheckpointWriter:
        """Writes the checkpoints of the run."""
        ...

    @property
    def log_folder(self) -> Path:
        """The folder of this run."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a checkpoint saves."""
        ...
