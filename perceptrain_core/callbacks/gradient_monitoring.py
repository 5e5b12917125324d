"""Statistics of the gradient of every parameter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.none import NoTracker
from perceptrain_core.types import TrainingStage


class GradientMonitoring(Callback):
    """Watch the mean, standard deviation, maximum and minimum of each parameter's gradient.

    They are named ``grad_PARAMETER_mean``, ``..._std``, ``..._max`` and ``..._min``. At each call
    they are written to the tracker under the epoch in training, which reads them all at once. On
    batches they are added to ``trainer.opt_result.metrics`` too, for callbacks that come after this
    one, as 0-dim tensors that nobody has read. They are no part of the history, nor of what is
    printed and written for an epoch. Parameters without a gradient are left out. A large model has
    many: choose ``called_every`` accordingly.

    Args:
        on: ``"train_batch_end"``, or ``"train_epoch_end"`` for the last batch of an epoch.
        called_every: Run at every so many batches, or epochs.

    Attributes:
        statistics: Those of the latest call, by name.

    Raises:
        CallbackError: An argument that cannot be.
    """

    stages = frozenset({TrainingStage.TRAIN_BATCH_END, TrainingStage.TRAIN_EPOCH_END})

    def __init__(
        self, on: TrainingStage | str = TrainingStage.TRAIN_BATCH_END, called_every: int = 1
    ) -> None:
        super().__init__(on, called_every)
        self.statistics: dict[str, Tensor] = {}

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Compute the statistics, and hand them on."""
        self.statistics = gradient_statistics(trainer.model)
        if self.on is TrainingStage.TRAIN_BATCH_END:
            result = trainer.opt_result
            result.metrics = {**result.metrics, **self.statistics}
        if self.statistics and not isinstance(writer, NoTracker):
            writer.write(trainer.current_epoch, _as_floats(self.statistics))


@torch.no_grad()
def gradient_statistics(model: nn.Module) -> dict[str, Tensor]:
    """Give the statistics of each gradient, detached 0-dim tensors on its device.

    The standard deviation is that of the values themselves, 0 for a single one.
    """
    statistics: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is None or not parameter.grad.numel():
            continue
        values = _values(parameter.grad)
        std, mean = torch.std_mean(values, correction=0)
        low, high = torch.aminmax(values)
        for kind, value in {"mean": mean, "std": std, "max": high, "min": low}.items():
            statistics[f"grad_{name}_{kind}"] = value
    return statistics


def _values(gradient: Tensor) -> Tensor:
    if gradient.is_sparse:
        gradient = gradient.to_dense()
    return torch.view_as_real(gradient) if gradient.is_complex() else gradient


def _as_floats(statistics: dict[str, Tensor]) -> dict[str, float]:
    """Read them in one go: on a GPU each read waits for everything before it."""
    first = next(iter(statistics.values()))
    values = torch.stack([value.to(first) for value in statistics.values()]).tolist()
    return dict(zip(statistics, values, strict=True))
