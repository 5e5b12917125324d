"""Two runs with one seed agree bit for bit; deterministic algorithms are used where asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import Callback, Trainer

MakeTrainer = Callable[..., Trainer]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 1))


@pytest.mark.parametrize("deterministic", [False, True])
def test_one_seed_one_run(make_trainer: MakeTrainer, deterministic: bool) -> None:
    def run(seed: int) -> Any:
        torch.rand(5)
        trainer = make_trainer(
            model=net(), seed=seed, shuffle=True, deterministic=deterministic, optimizer="adam"
        )
        trainer.fit()
        return trainer.history, [p.detach().tolist() for p in trainer.model.parameters()]

    assert run(1) == run(1)
    assert run(1) != run(2)


@pytest.mark.parametrize(("enabled", "warn_only"), [(False, False), (True, True), (True, False)])
def test_is_set_in_the_fit_only(make_trainer: MakeTrainer, enabled: bool, warn_only: bool) -> None:
    inside: list[Any] = []

    def look(trainer: Any, config: Any, writer: Any) -> None:
        inside.append(
            (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
            )
        )

    torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
    make_trainer(deterministic=True, callbacks=[Callback("train_epoch_end", 1, look)]).fit()
    assert set(inside) == {(True, False)}
    assert torch.are_deterministic_algorithms_enabled() is enabled
    assert torch.is_deterministic_algorithms_warn_only_enabled() is warn_only


def test_what_has_no_such_algorithm_is_an_error(make_trainer: MakeTrainer, rows: Any) -> None:
    def loss(batch: Any, model: nn.Module) -> Any:
        outputs = model(batch[0])
        torch.empty(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
        return (outputs - batch[1]).square().mean(), {}

    make_trainer(loss).fit()
    with pytest.raises(RuntimeError, match="deterministic"):
        make_trainer(loss, deterministic=True).fit()
    assert not torch.are_deterministic_algorithms_enabled()
