"""Losses that compare the rows of a batch, where batches are split."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from torch import Tensor, nn

from perceptrain import Trainer, WeightedLoss
from perceptrain_core.training.contract.split_batches import warn_of_split_batches


class Spread(nn.Module):
    whole_batch = True
    gather = False

    def forward(self, batch: Any, model: nn.Module, scale: float = 1.0) -> Any:
        spread: Tensor = model(batch[0]).var() * scale
        return spread, {"spread": spread}


def test_accumulation_is_warned_of(make_trainer: Callable[..., Trainer]) -> None:
    with pytest.warns(UserWarning, match=r"Spread depends on all rows.*accumulate=2"):
        make_trainer(Spread(), max_iter=1, batch_size=5, accumulate=2).fit()
    make_trainer(Spread(), max_iter=1, batch_size=5).fit()
    make_trainer("mse", max_iter=1, batch_size=5, accumulate=2).fit()


def test_one_ratio_for_a_batch_is_not_a_mean(make_trainer: Callable[..., Trainer]) -> None:
    with pytest.warns(UserWarning, match=r"relative_l2.* depends on all rows.*accumulate=2"):
        make_trainer("relative_l2", max_iter=1, batch_size=5, accumulate=2).fit()
    ratios = {"name": "relative_l2", "per_sample": True}
    make_trainer(ratios, max_iter=1, batch_size=5, accumulate=2).fit()


def test_a_loss_may_know_only_after_a_batch(make_trainer: Callable[..., Trainer]) -> None:
    class Late(Spread):
        whole_batch = False

        def forward(self, batch: Any, model: nn.Module, scale: float = 1.0) -> Any:
            self.whole_batch = batch[0].ndim == 2
            return super().forward(batch, model)

    with pytest.warns(UserWarning, match=r"Late depends on all rows.*accumulate=2"):
        make_trainer(Late(), max_iter=1, batch_size=5, accumulate=2).fit()


@pytest.mark.parametrize(
    "loss", [Spread(), partial(Spread(), scale=2.0), WeightedLoss(Spread(), "relobralo")]
)
def test_processes_are_warned_of_unless_rows_are_gathered(loss: Any) -> None:
    with pytest.warns(UserWarning, match="each of the 2 processes.*gather=True"):
        warn_of_split_batches(loss, 1, 2)
    inner = getattr(loss, "loss_fn", getattr(loss, "func", loss))
    inner.gather = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_split_batches(loss, 1, 2)
