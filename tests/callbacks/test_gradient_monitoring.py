from __future__ import annotations

import csv
import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from perceptrain import Callback, Trainer
from perceptrain.callbacks import GradientMonitoring
from perceptrain_core.callbacks.gradient_monitoring import gradient_statistics

MakeTrainer = Callable[..., Trainer]


def expected(model: nn.Module) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        assert gradient is not None
        numbers = gradient.flatten().tolist()
        mean = sum(numbers) / len(numbers)
        values[f"grad_{name}_mean"] = mean
        values[f"grad_{name}_std"] = (sum((n - mean) ** 2 for n in numbers) / len(numbers)) ** 0.5
        values[f"grad_{name}_max"] = max(numbers)
        values[f"grad_{name}_min"] = min(numbers)
    return values


def test_statistics_of_every_parameter(make_trainer: MakeTrainer) -> None:
    seen: list[dict[str, Any]] = []

    def look(trainer: Any, config: Any, writer: Any) -> None:
        metrics = trainer.opt_result.metrics
        assert {k: float(v) for k, v in metrics.items()} == pytest.approx(
            expected(trainer.model), rel=1e-4, abs=1e-7
        )
        assert all(v.shape == () and not v.requires_grad for v in metrics.values())
        seen.append(metrics)

    monitoring = GradientMonitoring(on="train_batch_end", called_every=1)
    trainer = make_trainer(callbacks=[monitoring, Callback("train_batch_end", callback=look)])
    trainer.fit()
    assert len(seen) == 8
    assert monitoring.statistics == seen[-1]


def test_history_and_epoch_metrics_stay_as_they_are(make_trainer: MakeTrainer) -> None:
    for stage in ("train_batch_end", "train_epoch_end"):
        trainer = make_trainer(callbacks=[GradientMonitoring(stage)])
        trainer.fit()
        assert [row.keys() for row in trainer.history] == [{"train_loss"}] * 2
        assert trainer.opt_result.metrics.keys() == {"train_loss"}


def test_written_to_the_tracker(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(callbacks=[GradientMonitoring(called_every=4)], max_iter=3)
    trainer.fit()
    with (trainer.log_folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    last = {name: float(value) for name, value in rows[-1].items() if name != "epoch"}
    assert last == pytest.approx(expected(trainer.model), rel=1e-4, abs=1e-7)


def test_written_to_tensorboard(make_trainer: MakeTrainer) -> None:
    monitoring = GradientMonitoring("train_epoch_end")
    trainer = make_trainer(callbacks=[monitoring], max_iter=3, tracking_tool="tensorboard")
    trainer.fit()
    events = EventAccumulator(str(trainer.log_folder)).Reload()
    assert set(events.Tags()["scalars"]) == set(monitoring.statistics)
    name = next(iter(monitoring.statistics))
    scalars = events.Scalars(name)
    assert [scalar.step for scalar in scalars] == [1, 2, 3]
    assert scalars[-1].value == pytest.approx(float(monitoring.statistics[name]))


def test_without_a_tracker_nothing_is_read(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(tensor: Tensor) -> Any:
        raise AssertionError("a tensor was read")

    monkeypatch.setattr(Tensor, "tolist", refuse)
    monitoring = GradientMonitoring()
    make_trainer(callbacks=[monitoring], tracking_tool="none").fit()
    assert monitoring.statistics


def test_nothing_is_kept_but_the_latest(make_trainer: MakeTrainer) -> None:
    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(item), Tensor) for item in gc.get_objects())

    counts: list[int] = []
    count = Callback("train_epoch_end", 2, lambda t, c, w: counts.append(tensors()))
    make_trainer(callbacks=[GradientMonitoring(), count], max_iter=6, tracking_tool="none").fit()
    assert counts[1] == counts[2]


def test_gradients_of_all_kinds() -> None:
    model = nn.Module()
    model.one = nn.Parameter(torch.tensor(2.0))
    model.without = nn.Parameter(torch.zeros(3))
    model.empty = nn.Parameter(torch.zeros(0))
    model.sparse = nn.Embedding(4, 2, sparse=True)
    model.waves = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    model.wide = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    weights = torch.tensor([1.0, 3.0], dtype=torch.float64)
    loss = model.sparse(torch.tensor([1])).sum() + model.empty.sum() + model.one * 5
    loss = loss + (model.waves * (1 + 2j)).real.sum() + (model.wide * weights).sum()
    loss.backward()
    found = {name: float(value) for name, value in gradient_statistics(model).items()}
    assert {name: v for name, v in found.items() if name.startswith("grad_one")} == {
        "grad_one_mean": 5.0,
        "grad_one_std": 0.0,
        "grad_one_max": 5.0,
        "grad_one_min": 5.0,
    }
    assert found["grad_sparse.weight_mean"] == 0.25  # two of eight
    assert (found["grad_waves_min"], found["grad_waves_max"]) == (-2.0, 1.0)
    assert (found["grad_wide_mean"], found["grad_wide_std"]) == (2.0, 1.0)
    assert not any("without" in name or "empty" in name for name in found)


def test_training_is_the_same_with_and_without(make_trainer: MakeTrainer) -> None:
    plain, watched = make_trainer(seed=1), make_trainer(seed=1, callbacks=["gradient_monitoring"])
    plain.fit()
    watched.fit()
    assert plain.history == watched.history
