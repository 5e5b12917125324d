"""Each validation set has metrics of its own, beside those over all of them together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import Trainer, ValidationSets, to_dataloader
from perceptrain.callbacks import EarlyStopping
from perceptrain.errors import DataError

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]


def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    error = model(batch[0]) - batch[1]
    return error.square().mean(), {"bias": error.mean()}


def some(rows: int, seed: int) -> Rows:
    x = torch.randn(rows, 2, generator=torch.Generator().manual_seed(seed))
    return x, x[:, :1]


CLEAN, NOISY = some(7, 5), some(12, 6)


def errors(model: nn.Module, *sets: Rows) -> tuple[float, float]:
    with torch.no_grad():
        error = torch.cat([model(x) - y for x, y in sets]).double()
    return error.square().mean().item(), error.mean().item()


def test_are_those_of_each_set_and_of_all_rows_together(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(loss_fn)
    row = trainer.validate(ValidationSets(clean=CLEAN, noisy=to_dataloader(*NOISY, batch_size=9)))
    together, clean, noisy = (
        errors(trainer.model, *sets) for sets in ((CLEAN, NOISY), (CLEAN,), (NOISY,))
    )
    expected = {
        "val_loss": together[0],
        "val_bias": together[1],
        "val_clean_loss": clean[0],
        "val_clean_bias": clean[1],
        "val_noisy_loss": noisy[0],
        "val_noisy_bias": noisy[1],
    }
    assert list(row) == list(expected)
    assert row == pytest.approx(expected, rel=1e-5)


def test_in_the_history_and_for_callbacks(make_trainer: MakeTrainer) -> None:
    seen: list[Any] = []
    stopping = EarlyStopping("val_epoch_end", monitor="val_noisy_loss", patience=1, delta=1e9)
    trainer = make_trainer(
        loss_fn,
        val=ValidationSets(clean=CLEAN, noisy=NOISY),
        val_every=1,
        max_iter=9,
        callbacks=[stopping],
    )
    trainer.on_val_epoch_end = seen.append  # type: ignore[method-assign]
    trainer.fit()
    assert len(trainer.history) == stopping.stopped_epoch == 2
    assert stopping.best_value == trainer.history[0]["val_noisy_loss"]
    assert [row["val_clean_loss"] for row in seen] == [
        row["val_clean_loss"] for row in trainer.history
    ]


def test_dicts_stay_batches_of_dicts(make_trainer: MakeTrainer) -> None:
    """A single set may have names in its batches, as those of a PINN."""

    def by_name(batch: dict[str, Tensor], model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return F.mse_loss(model(batch["x"]), batch["y"]), {}

    data = {"x": CLEAN[0], "y": CLEAN[1]}
    trainer = make_trainer(by_name, data=data)
    assert set(trainer.validate(data)) == {"val_loss"}
    both = trainer.validate(ValidationSets(all=data, half={k: v[:3] for k, v in data.items()}))
    assert set(both) == {"val_loss", "val_all_loss", "val_half_loss"}


def test_what_has_no_batch_is_named(make_trainer: MakeTrainer) -> None:
    with pytest.raises(DataError, match="validation set 'noisy' returned no batch"):
        make_trainer(loss_fn).validate(ValidationSets(clean=CLEAN, noisy=iter(())))


def test_names_that_clash(make_trainer: MakeTrainer) -> None:
    def loss(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return loss_fn(batch, model)[0], {"clean_loss": torch.tensor(0.0)}

    with pytest.raises(DataError, match="'clean' have the names of others, val_clean_loss: rename"):
        make_trainer(loss).validate(ValidationSets(clean=CLEAN))


def test_only_for_validation(make_trainer: MakeTrainer) -> None:
    sets = ValidationSets(clean=CLEAN)
    with pytest.raises(DataError, match="training data are of type ValidationSets"):
        make_trainer(data=sets).fit()
    with pytest.raises(DataError, match="test data are of type ValidationSets"):
        make_trainer().test(sets)


@pytest.mark.usefixtures("forked_workers")
def test_several_processes_see_the_same_figures(make_trainer: MakeTrainer) -> None:
    sets = ValidationSets(clean=CLEAN, noisy=NOISY)
    settings = {"val": sets, "val_every": 1, "max_iter": 1, "tracking_tool": "none"}
    alone = make_trainer(batch_size=10, **settings)
    two = make_trainer(batch_size=5, nprocs=2, **settings)
    for trainer in (alone, two):
        trainer.fit()
    assert two.history[0].keys() == alone.history[0].keys()
    for name in ("val_loss", "val_clean_loss", "val_noisy_loss"):
        assert two.history[0][name] == pytest.approx(alone.history[0][name], rel=1e-5)
