"""A trained run that predicts survival curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain import TrainedRun
from perceptrain.errors import ConfigError, DataError
from perceptrain_survival.curves.breslow import BreslowBaseline
from perceptrain_survival.labels import describe
from perceptrain_survival.losses.base import SurvivalLoss
from perceptrain_survival.losses.cox import CoxLoss
from perceptrain_survival.metrics.times import check_times


class SurvivalModel(nn.Module):
    """A model that returns the probability of no event up to each of some times.

    Args:
        model: Returns the outputs that the loss expects.
        loss: The loss that it was trained with.
        times: The times, in the units of the training.
        baseline: The baseline of Cox's model; other losses need none.
    """

    times: Tensor

    def __init__(
        self,
        model: nn.Module,
        loss: SurvivalLoss,
        times: Sequence[float],
        baseline: BreslowBaseline | None = None,
    ) -> None:
        super().__init__()
        self.model, self.loss, self.baseline = model, loss, baseline
        self.register_buffer("times", torch.tensor(times, dtype=torch.float64))

    def forward(self, inputs: Any) -> Tensor:
        """Return probabilities of shape ``(N, T)``, in the dtype of the model's outputs."""
        return self.loss.survival(self.loss.columns(self.model(inputs)), self.times, self.baseline)


def survival_run(run: TrainedRun, times: Sequence[float]) -> TrainedRun:
    """Return a trained run that predicts the probability of no event up to each of some times.

    It predicts, writes and exports as the run itself, with a column ``survival[TIME]`` for each
    time. For the loss "cox" the baseline is that of the training rows, which are read again.

    Args:
        run: As ``load_run`` returns it; it was trained with "cox", "weibull" or "hazard".
        times: Increasing times above 0, in the units of the training.

    Raises:
        ConfigError: The run has another loss, or the times are invalid.
        DataError: The training rows cannot be read, are not tensors of rows, or have strata.
    """
    chosen = check_times("times", times)
    loss = run.loss_fn
    if chosen is None or not isinstance(loss, SurvivalLoss):
        raise ConfigError(
            f"The run {run.folder} was trained with the loss {run.run_file.loss.name}, and times="
            f"{times!r}; expected times, and the loss cox, weibull or hazard."
        )
    baseline = _baseline(run) if isinstance(loss, CoxLoss) else None
    # Its outputs are probabilities, and neither logarithms nor labels, so another loss is named.
    plain = type(run.run_file.loss)(name="mse")
    return replace(
        run,
        model=SurvivalModel(run.model, loss, chosen, baseline).eval(),
        run_file=run.run_file.model_copy(update={"loss": plain, "weighting": None}),
        record=run.record.model_copy(update={"labels": [f"survival[{t:g}]" for t in chosen]}),
    )


def _baseline(run: TrainedRun) -> BreslowBaseline:
    rows = run.rows().splits.train
    if not isinstance(rows, tuple | list) or len(rows) != 2:
        raise DataError(
            f"The training data of the run are {describe(rows)}; expected inputs and labels as "
            "tensors. Use SurvivalModel with a baseline of your own: BreslowBaseline.fit(...)."
        )
    device = next(run.model.parameters()).device
    with torch.no_grad():
        outputs = run.model(rows[0].to(device)).cpu()
    return BreslowBaseline.fit(outputs, rows[1])
