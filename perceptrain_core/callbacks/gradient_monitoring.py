"""The ``gradient_monitoring`` callback: statistics of every parameter's gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.tensors import dense_real
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.none import NoTracker
from perceptrain_core.types import TrainingStage


class GradientMonitoring(Callback):
    """Log the mean, standard deviation, maximum and minimum of each parameter's gradient.

    They are named ``grad_PARAMETER_mean``, ``..._std``, ``..._max`` and ``..._min``. Each call logs
    them to the tracker under the current epoch, with a single read from the device. On batch
    stages, they are also added to ``trainer.opt_result.metrics`` as 0-dim tensors on the device,
    where later callbacks can use them. They are not added to the history or to the metrics of an
    epoch. Parameters without a gradient are skipped. For models with many parameters, choose a
    larger ``called_every``.

    Args:
        on: ``"train_batch_end"``, or ``"train_epoch_end"`` for the last batch of an epoch.
        called_every: The number of batches (epochs on an epoch stage) between two calls.

    Attributes:
        statistics: The statistics of the latest call, by name.

    Raises:
        CallbackError: An argument is not valid.
    """

    stages = frozenset({TrainingStage.TRAIN_BATCH_END, TrainingStage.TRAIN_EPOCH_END})

    def __init__(
        self, on: TrainingStage | str = TrainingStage.TRAIN_BATCH_END, called_every: int = 1
    ) -> None:
        super().__init__(on, called_every)
        self.statistics: dict[str, Tensor] = {}

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Compute the statistics and log them.

        Raises:
            CallbackError: The model is sharded.
        """
        if trainer.engine.sharded is not None:
            raise CallbackError(
                'GradientMonitoring reads whole gradients, and with strategy="fsdp" each process '
                "has a share of them: log their norm instead, with log_grad_norm=True."
            )
        self.statistics = gradient_statistics(trainer.model)
        if self.on is TrainingStage.TRAIN_BATCH_END:
            result = trainer.opt_result
            result.metrics = {**result.metrics, **self.statistics}
        if self.statistics and not isinstance(writer, NoTracker):
            writer.write(trainer.current_epoch, _as_floats(self.statistics))


@torch.no_grad()
def gradient_statistics(model: nn.Module) -> dict[str, Tensor]:
    """Return the statistics of each gradient, as detached 0-dim tensors on its device.

    ``std`` is the population standard deviation, 0 for a single value.
    """
    statistics: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is None or not parameter.grad.numel():
            continue
        values = dense_real(parameter.grad)
        std, mean = torch.std_mean(values, correction=0)
        low, high = torch.aminmax(values)
        for kind, value in {"mean": mean, "std": std, "max": high, "min": low}.items():
            statistics[f"grad_{name}_{kind}"] = value
    return statistics


def _as_floats(statistics: dict[str, Tensor]) -> dict[str, float]:
    """Read all values at once: on a GPU every read synchronizes."""
    first = next(iter(statistics.values()))
    values = torch.stack([value.to(first) for value in statistics.values()]).tolist()
    return dict(zip(statistics, values, strict=True))
