"""``Trainer(..., weighting=...)``, the twin of ``[weighting]`` in a run file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Trainer, WeightedLoss
from perceptrain.errors import ConfigError, UnknownNameError
from perceptrain_core.weightings.relobralo import ReLoBRaLo

MakeTrainer = Callable[..., Trainer]


def terms(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """Two terms of very different size."""
    x, y = batch
    fit, size = (model(x) - y).square().mean(), 100 * model(x).square().mean()
    return fit + size, {"fit": fit, "size": size}


@pytest.mark.parametrize(
    "weighting", ["relobralo", {"name": "relobralo"}, ReLoBRaLo], ids=["name", "mapping", "object"]
)
def test_is_the_same_as_a_weighted_loss(make_trainer: MakeTrainer, weighting: Any) -> None:
    torch.manual_seed(3)
    given = weighting() if isinstance(weighting, type) else weighting
    trainer = make_trainer(terms, options={"weighting": given}, seed=1)
    trainer.fit()
    by_hand = make_trainer(WeightedLoss(terms, "relobralo"), seed=1)
    by_hand.fit()
    assert trainer.history == by_hand.history
    assert {"train_weight_fit", "train_weight_size"} <= trainer.history[-1].keys()
    for one, other in zip(trainer.model.parameters(), by_hand.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_without_one_the_loss_is_used_as_it_is(make_trainer: MakeTrainer) -> None:
    assert make_trainer(terms).loss_fn is terms


def test_its_name_is_recorded(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer("mse", options={"weighting": "softadapt"})
    assert trainer.provenance["weighting"]["name"] == "perceptrain-core/softadapt"
    assert trainer.provenance["loss"]["name"] == "perceptrain-core/mse"


def test_its_parameters_are_trained_and_its_state_is_saved(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    options = {"weighting": {"name": "uncertainty", "terms": ["fit", "size"]}}
    settings = {"checkpoint_every": 1, "root_folder": tmp_path, "options": options, "seed": 2}
    whole = make_trainer(terms, max_iter=4, **settings, log_folder="whole")
    whole.fit()
    make_trainer(terms, max_iter=2, **settings, log_folder="halves").fit()
    rest = make_trainer(terms, max_iter=4, **settings, log_folder="halves")
    rest.fit(resume=True)
    assert rest.history == whole.history
    assert isinstance(rest.loss_fn, nn.Module)
    assert any(parameter.abs().sum() > 0 for parameter in rest.loss_fn.parameters())


def test_an_unknown_name_and_something_else(make_trainer: MakeTrainer) -> None:
    with pytest.raises(UnknownNameError, match=r"no weighting 'relobrallo'.*relobralo"):
        make_trainer(terms, options={"weighting": "relobrallo"})
    with pytest.raises(ConfigError, match="weighting="):
        make_trainer(terms, options={"weighting": 3})
