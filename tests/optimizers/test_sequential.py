"""Optimizers one after the other take exactly the steps of each."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from math import cos, pi
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import LBFGS, SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CyclicLR,
    LinearLR,
    MultiplicativeLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from perceptrain import Callback, Trainer, get_optimizer, load_checkpoint, write_checkpoint
from perceptrain.callbacks import (
    LRSchedulerCosineAnnealing,
    LRSchedulerReduceOnPlateau,
    LRSchedulerStepDecay,
)
from perceptrain.errors import ConfigError, OptionError, TrainingError
from perceptrain.optimizers import (
    AdamLBFGS,
    CombinedOptimizer,
    GaussNewton,
    SequentialOptimizer,
    SSBroyden,
)
from perceptrain_core.optimizers.build import build_optimizer
from perceptrain_core.optimizers.fused import Adam

from ..shared import mse_closure, same

Net = Callable[..., nn.Module]
Rows = tuple[Tensor, Tensor]
MakeTrainer = Callable[..., Trainer]
ADAM = {"name": "adam", "lr": 0.02, "betas": (0.8, 0.99)}
SGD_ = {"name": "sgd", "lr": 0.1, "momentum": 0.5}
SSB = {"name": "ssbroyden", "max_iter": 3}
DOUBLE: dict[str, Any] = {"dtype": torch.float64, "batch_size": 20}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def net(make_net: Net) -> Callable[[], nn.Module]:
    return lambda: make_net().double()


@pytest.fixture
def points(rows: Rows) -> Rows:
    return rows[0].double(), rows[1].double()


def step(model: nn.Module, optimizer: Optimizer, rows: Rows) -> Tensor:
    loss = optimizer.step(mse_closure(model, optimizer, rows))  # type: ignore[arg-type]
    assert isinstance(loss, Tensor)
    return loss.detach()


def sequence(model: nn.Module, *stages: Any, milestones: Any) -> SequentialOptimizer:
    return SequentialOptimizer(model.parameters(), stages, milestones)


def test_equals_each_optimizer_in_its_epochs(net: Net, points: Rows) -> None:
    ours, theirs = net(), net()
    optimizer = sequence(ours, ADAM, SSB, SGD_, "lbfgs", milestones=[2, 4, 5])
    alone: list[Optimizer] = [
        Adam(theirs.parameters(), lr=0.02, betas=(0.8, 0.99)),
        SSBroyden(theirs.parameters(), max_iter=3),
        SGD(theirs.parameters(), lr=0.1, momentum=0.5),
        LBFGS(theirs.parameters()),
    ]
    for epoch, stage in enumerate([0, 0, 1, 1, 2, 3, 3], 1):
        optimizer.begin_epoch(epoch)
        assert type(optimizer.active).__name__ == type(alone[stage]).__name__
        assert optimizer.needs_closure == (stage in (1, 3))
        assert optimizer.handles_trials == (stage == 1)
        assert not optimizer.needs_residuals
        for _ in range(2):
            expected = step(theirs, alone[stage], points)
            assert torch.equal(step(ours, optimizer, points), expected)
            assert same(ours, theirs)


def test_forwards_that_residuals_are_needed(net: Net) -> None:
    class Residuals(SGD):
        needs_residuals = True

    model = net()
    optimizer = sequence(model, ADAM, Residuals(model.parameters()), milestones=[1])
    assert not optimizer.needs_residuals
    optimizer.begin_epoch(2)
    assert optimizer.needs_residuals


@pytest.mark.parametrize("taken", [0, 1, 2, 3, 4, 5])
def test_resumes_on_both_sides_of_a_switch(net: Net, points: Rows, here: Path, taken: int) -> None:
    def make(model: nn.Module) -> SequentialOptimizer:
        return sequence(model, ADAM, SSB, {"name": "adam", "lr": 0.3}, milestones=[2, 4])

    whole, parts = net(), net()
    optimizer, again = make(whole), make(parts)
    path = None
    for epoch in range(1, 8):
        if epoch == taken + 1:
            path = write_checkpoint(here, whole, optimizer, taken)
        optimizer.begin_epoch(epoch)
        step(whole, optimizer, points)
    assert path is not None
    load_checkpoint(path, parts, again)
    for epoch in range(taken + 1, 8):
        again.begin_epoch(epoch)
        step(parts, again, points)
    assert same(whole, parts)
    assert same(optimizer.state_dict(), again.state_dict())


@pytest.mark.parametrize("taken", [1, 3, 5])
def test_a_copy_goes_on_by_itself(net: Net, points: Rows, taken: int) -> None:
    model = net()
    optimizer = sequence(model, ADAM, SSB, "lbfgs", milestones=[2, 4])
    for epoch in range(1, taken + 1):
        optimizer.begin_epoch(epoch)
        step(model, optimizer, points)
    twin, other = copy.deepcopy((model, optimizer))
    for network, each in [(model, optimizer), (twin, other)]:
        for epoch in range(taken + 1, taken + 4):
            each.begin_epoch(epoch)
            step(network, each, points)
    assert same(model, twin)
    assert next(twin.parameters()) is not next(model.parameters())


def test_a_plateau_switches_when_torch_would_lower_the_rate(net: Net) -> None:
    losses = [5.0, 4.0, 4.1, 3.9999, 4.2, 3.0, 3.1, 3.2, float("nan"), 1.0]
    optimizer = sequence(net(), ADAM, SGD_, milestones=[{"patience": 2, "threshold": 1e-3}])
    other = SGD(net().parameters(), lr=1.0)
    torchs = ReduceLROnPlateau(other, patience=2, threshold=1e-3)
    seen, expected = [], []
    for epoch, loss in enumerate(losses, 1):
        optimizer.begin_epoch(epoch)
        seen.append(type(optimizer.active).__name__ == "SGD")
        optimizer.end_epoch(loss)
        expected.append(other.param_groups[0]["lr"] < 1)
        torchs.step(loss)
    assert seen == expected
    assert seen.index(True) == 5


def test_after_a_plateau_comes_the_next_one(net: Net) -> None:
    plateau = {"patience": 0}
    optimizer = sequence(net(), ADAM, SGD_, SSB, milestones=[plateau, plateau])
    names = []
    for epoch, loss in enumerate([1.0, 1.0, 2.0, 1.9, 1.9, 0.1, 0.1], 1):
        optimizer.begin_epoch(epoch)
        names.append(type(optimizer.active).__name__)
        optimizer.end_epoch(loss)
    # The losses before a switch do not count after it.
    assert names == ["Adam"] * 2 + ["SGD"] * 3 + ["SSBroyden"] * 2
    optimizer.begin_epoch(1)
    assert type(optimizer.active).__name__ == "Adam"
    assert optimizer.state_dict()["sequence"]["progress"]["ends"] == [None, None]


def test_an_epoch_ends_the_wait_for_a_plateau(net: Net) -> None:
    optimizer = sequence(net(), ADAM, SGD_, SSB, milestones=[{"patience": 99}, 3])
    optimizer.begin_epoch(3)
    assert type(optimizer.active) is not SSBroyden
    optimizer.begin_epoch(4)
    assert type(optimizer.active) is SSBroyden


def test_options_of_the_same_name_are_those_of_the_active_one(net: Net) -> None:
    optimizer = sequence(net(), ADAM, SGD_, {"name": "adam", "lr": 0.7}, milestones=[1, 2])
    for epoch, rate in [(1, 0.02), (2, 0.1), (3, 0.7), (2, 0.1), (1, 0.02)]:
        optimizer.begin_epoch(epoch)
        (group,) = optimizer.param_groups
        assert group["lr"] == rate
        assert group.get("betas") == {0.02: (0.8, 0.99), 0.7: (0.9, 0.999)}.get(rate)
        group["lr"] *= 0.5


def halved(epochs: int) -> float:
    return float(0.5**epochs)


@pytest.mark.parametrize(
    ("schedule", "factor"),
    [
        (partial(StepLR, step_size=1, gamma=0.5), halved),
        (partial(LinearLR, start_factor=0.5, total_iters=4), lambda n: min(1, 0.5 + n / 8)),
        (partial(CosineAnnealingLR, T_max=6), lambda n: (1 + cos(pi * n / 6)) / 2),
        (partial(MultiplicativeLR, lr_lambda=lambda n: 0.5), halved),
    ],
    ids=["step", "linear", "cosine", "multiplicative"],
)
def test_a_schedule_of_torch_multiplies_the_rate_of_the_active_one(
    net: Net, points: Rows, schedule: Any, factor: Callable[[int], float]
) -> None:
    model = net()
    optimizer = sequence(model, ADAM, SSB, SGD_, milestones=[2, 3])
    scheduler = schedule(optimizer)
    for epoch in range(1, 6):
        optimizer.begin_epoch(epoch)
        rate = {1: 0.02, 2: 0.02, 4: 0.1, 5: 0.1}.get(epoch)
        if rate is not None:
            assert optimizer.param_groups[0]["lr"] == pytest.approx(rate * factor(epoch - 1))
        step(model, optimizer, points)
        scheduler.step()
    optimizer.begin_epoch(1)
    assert optimizer.param_groups[0]["lr"] == 0.02


@pytest.mark.parametrize("stages", [(SGD_, ADAM), (ADAM, SGD_), (SSB, ADAM)], ids=str)
@pytest.mark.parametrize("schedule", [OneCycleLR, CyclicLR])
def test_a_schedule_cycles_the_momentum_of_the_first(
    net: Net, points: Rows, schedule: Any, stages: Any
) -> None:
    model = net()
    optimizer = sequence(model, *stages, milestones=[2])
    own: dict[str, Any] = {"max_lr": 0.1, "cycle_momentum": stages[0] is not SSB}
    own |= {"total_steps": 9} if schedule is OneCycleLR else {"base_lr": 0.01}
    if stages[0] is SSB:
        with pytest.raises(ValueError, match="must support momentum"):
            schedule(optimizer, **(own | {"cycle_momentum": True}))
    scheduler = schedule(optimizer, **own)
    for epoch in range(1, 5):
        optimizer.begin_epoch(epoch)
        step(model, optimizer, points)
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == scheduler.get_last_lr()[0]


def test_groups_of_one_divide_those_of_the_others(net: Net, points: Rows) -> None:
    ours, theirs = net(), net()
    adam = {**ADAM, "groups": [{"match": "*.bias", "lr": 0.5}]}
    built = build_optimizer(
        {"name": "sequential", "optimizers": [adam, SSB], "milestones": [2]}, ours
    )
    assert [group["lr"] for group in built.param_groups] == [0.5, 0.02]
    alone = [build_optimizer(adam, theirs), None]
    for epoch in range(1, 6):
        built.begin_epoch(epoch)
        if epoch == 3:
            order = [p for group in alone[0].param_groups for p in group["params"]]
            alone[1] = SSBroyden(order, max_iter=3)
        assert torch.equal(step(ours, built, points), step(theirs, alone[epoch > 2], points))
    assert same(ours, theirs)


def test_gauss_newton_by_name_follows_groups(make_trainer: MakeTrainer) -> None:
    adam = {**ADAM, "groups": [{"match": "*.bias", "lr": 0.5}]}
    setting = {"name": "sequential", "optimizers": [adam, "gauss_newton"], "milestones": [1]}
    trainer = make_trainer(optimizer=setting, max_iter=4, **DOUBLE)
    trainer.fit()
    assert type(trainer.optimizer.active) is GaussNewton
    assert len(trainer.optimizer.param_groups) == 2
    assert trainer.history[3]["train_loss"] < 0.5 * trainer.history[1]["train_loss"]


def test_groups_of_generators_and_of_one_parameter(net: Net) -> None:
    model, scale = net(), nn.Parameter(torch.ones(2))
    groups: list[Any] = [{"params": model.parameters()}, {"params": scale, "lr": 0.5}]
    optimizer = SequentialOptimizer(groups, [ADAM, SGD_], [1])
    for stage in optimizer.stages:
        assert [group["lr"] for group in stage.param_groups][1] == 0.5
        first, second = (group["params"] for group in stage.param_groups)
        assert same(first, list(model.parameters()))
        assert second[0] is scale


def test_a_combined_optimizer_is_a_part(net: Net, points: Rows, here: Path) -> None:
    def make(model: nn.Module) -> Any:
        first = {**ADAM, "groups": [{"match": "*.bias", "optimizer": "sgd", "lr": 0.1}]}
        setting = {"name": "sequential", "optimizers": [first, SSB], "milestones": [2]}
        return build_optimizer(setting, model)

    ours, theirs = net(), net()
    optimizer, again = make(ours), make(theirs)
    assert isinstance(optimizer.active, CombinedOptimizer)
    for epoch in range(1, 5):
        optimizer.begin_epoch(epoch)
        step(ours, optimizer, points)
        load_checkpoint(write_checkpoint(here, ours, optimizer, epoch), theirs, again)
        assert same(optimizer.state_dict(), again.state_dict())
    assert type(optimizer.active) is SSBroyden


def test_groups_and_lbfgs(net: Net) -> None:
    adam = {**ADAM, "groups": [{"match": "*.bias", "lr": 0.5}]}
    setting = {"name": "sequential", "optimizers": [adam, "lbfgs"], "milestones": [2]}
    with pytest.raises((TrainingError, OptionError), match="one group of parameters only"):
        build_optimizer(setting, net())


def test_parameters_that_are_added_belong_to_all(net: Net, points: Rows) -> None:
    model, scale = net(), nn.Parameter(torch.ones((), dtype=torch.float64))
    optimizer = sequence(model, ADAM, SSB, milestones=[1])
    optimizer.add_param_group({"params": [scale]})
    for epoch in (1, 2):
        optimizer.begin_epoch(epoch)
        before = scale.detach().clone()

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.mse_loss(scale * model(points[0]), points[1])
            loss.backward()
            return loss

        optimizer.step(closure)
        assert scale != before


def test_a_loop_that_never_begins_an_epoch_counts_steps(net: Net, points: Rows) -> None:
    model = net()
    optimizer = sequence(model, ADAM, SSB, milestones=[2])
    for _ in range(2):
        step(model, optimizer, points)
    with pytest.warns(UserWarning, match="SSBroyden after 2 steps: begin_epoch was never called"):
        step(model, optimizer, points)


def test_what_an_optimizer_does_not_save_is_not_saved(net: Net, points: Rows) -> None:
    small = {**SSB, "save_hessian": False}
    model = net()
    optimizer = sequence(model, ADAM, small, milestones=[1])
    again = sequence(net(), ADAM, small, milestones=[1])
    for epoch in (1, 2):
        optimizer.begin_epoch(epoch)
        step(model, optimizer, points)
    saved = optimizer.state_dict()
    assert saved["state"][0].keys() == {"iterations", "evaluations"}
    with pytest.warns(UserWarning, match="starts anew after 3 iterations"):
        again.load_state_dict(saved)


def test_too_many_parameters_for_one_of_them(net: Net, points: Rows) -> None:
    model = net()
    optimizer = sequence(model, ADAM, {**SSB, "max_parameters": 33}, milestones=[1])
    more = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    with pytest.raises(TrainingError, match=r"35 parameters.* max_parameters is 33"):
        optimizer.add_param_group({"params": [more]})
    for epoch in (1, 2):
        optimizer.begin_epoch(epoch)
        assert len(optimizer.param_groups) == 1
        step(model, optimizer, points)


def test_a_group_that_one_of_them_refuses_belongs_to_none(net: Net) -> None:
    class OneGroup(SGD):
        def add_param_group(self, param_group: dict[str, Any]) -> None:
            if self.param_groups:
                raise ValueError("one group")
            super().add_param_group(param_group)

    model = net()
    optimizer = sequence(model, ADAM, OneGroup(model.parameters()), milestones=[1])
    with pytest.raises(ValueError, match="one group"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))]})
    assert [len(stage.param_groups) for stage in optimizer.stages] == [1, 1]


def test_a_closure_is_needed(net: Net) -> None:
    optimizer = sequence(net(), SSB, milestones=[])
    with pytest.raises(TrainingError, match=r"switched to SSBroyden.* call step\(closure\)"):
        optimizer.step()


@pytest.mark.parametrize(
    ("milestones", "message"),
    [
        ([], "2 optimizers and 0 milestones"),
        ([1, 2], "2 optimizers and 2 milestones"),
        ([1.5], r"milestones\[0\]=1.5: expected a whole number"),
        (["plateau"], r"milestones\[0\]='plateau': expected a whole number .*'patience'"),
        (5, "milestones=5: expected a list"),
        ([{"patience": -1}], r"milestones\[0\].patience=-1"),
        ([{"patience": 3, "threshold": 2}], r"milestones\[0\].threshold=2"),
        ([{"patiense": 3}], "expected the keys 'patience' and 'threshold'"),
        ([{}], "expected the keys"),
    ],
    ids=str,
)
def test_milestones_that_cannot_be(net: Net, milestones: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SequentialOptimizer(net().parameters(), ["adam", "sgd"], milestones)


def test_milestones_in_the_wrong_order(net: Net) -> None:
    with pytest.raises(ConfigError, match=r"milestones\[1\]=2: expected .* at least 4"):
        sequence(net(), ADAM, SGD_, SSB, milestones=[3, 2])


def test_optimizers_that_cannot_be_parts(net: Net) -> None:
    model = net()
    with pytest.raises(TrainingError, match="different parameters"):
        sequence(model, ADAM, SGD(list(model.parameters())[:1]), milestones=[1])
    with pytest.raises(TrainingError, match="another sequence, cannot be part"):
        sequence(model, ADAM, AdamLBFGS(model.parameters()), milestones=[1])


def test_in_a_trainer(
    make_trainer: MakeTrainer, points: Rows, net: Net, here: Path, capsys: Any
) -> None:
    setting = {"name": "sequential", "optimizers": [ADAM, SSB], "milestones": [2]}
    trainer = make_trainer(optimizer=setting, max_iter=4, **(DOUBLE | {"verbose": True}))
    trainer.fit()
    assert "Epoch 3: SSBroyden follows Adam." in capsys.readouterr().out
    model = net()
    adam = Adam(model.parameters(), lr=0.02, betas=(0.8, 0.99))
    broyden = SSBroyden(model.parameters(), max_iter=3)
    losses = [float(step(model, each, points)) for each in (adam, adam, broyden, broyden)]
    assert [row["train_loss"] for row in trainer.history] == losses
    assert same(trainer.model, model)


@pytest.mark.slow
@pytest.mark.parametrize("milestone", [3, {"patience": 0, "threshold": 0.5}])
@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_a_run_resumes_on_both_sides_of_a_switch(
    make_trainer: MakeTrainer, here: Path, milestone: Any, stop: int
) -> None:
    optimizer = {"name": "sequential", "optimizers": [ADAM, SSB], "milestones": [milestone]}
    setting = {"optimizer": optimizer, "checkpoint_every": 1, **DOUBLE}
    whole = make_trainer(max_iter=6, log_folder="whole", **setting)
    whole.fit()
    assert type(whole.optimizer.active) is SSBroyden
    make_trainer(max_iter=stop, log_folder="run", **setting).fit()
    resumed = make_trainer(max_iter=6, log_folder="run", **setting)
    resumed.fit(resume=True)
    assert same(whole.model, resumed.model)
    assert list(whole.history) == list(resumed.history)
    assert same(whole.optimizer.state_dict(), resumed.optimizer.state_dict())


def test_other_milestones_are_noticed_at_a_resume(make_trainer: MakeTrainer, here: Path) -> None:
    def run(milestone: int, epochs: int) -> Trainer:
        optimizer = {"name": "sequential", "optimizers": [ADAM, SSB], "milestones": [milestone]}
        return make_trainer(
            optimizer=optimizer, max_iter=epochs, log_folder="run", checkpoint_every=1, **DOUBLE
        )

    run(2, 3).fit()
    with pytest.warns(UserWarning, match="different optimizer options.*milestones"):
        run(5, 4).fit(resume=True)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"precision": "bf16"}, "precision='bf16': SSBroyden"),
        ({"precision": "fp16"}, "SequentialOptimizer evaluates the loss several times"),
    ],
    ids=str,
)
def test_settings_that_one_of_them_cannot_use(
    make_trainer: MakeTrainer, setting: dict[str, Any], message: str
) -> None:
    optimizer = {"name": "sequential", "optimizers": [ADAM, SSB], "milestones": [2]}
    with pytest.raises(TrainingError, match=message):
        make_trainer(optimizer=optimizer, **setting).fit()


def test_settings_for_the_others(make_trainer: MakeTrainer) -> None:
    """Clipping and schedules concern the steps of Adam, and harm no line search."""
    optimizer = {"name": "sequential", "optimizers": [ADAM, SSB], "milestones": [2]}
    setting = {"grad_clip": 1e-3, "lr_scheduler": "cosine_annealing", **DOUBLE}
    trainer = make_trainer(optimizer=optimizer, max_iter=8, **setting)
    trainer.fit()
    assert trainer.history[7]["train_loss"] < 0.5 * trainer.history[2]["train_loss"]


def test_first_order_optimizers_need_no_closures(make_trainer: MakeTrainer) -> None:
    optimizer = {"name": "sequential", "optimizers": [ADAM, SGD_], "milestones": [1]}
    trainer = make_trainer(optimizer=optimizer, max_iter=2)
    trainer.fit()
    assert trainer.global_step == 8
    assert isinstance(trainer.optimizer.active, SGD)


def test_by_name(net: Net) -> None:
    model = net()
    optimizer = get_optimizer(
        {"name": "sequential", "optimizers": ["adamw", "ssbroyden"], "milestones": [7]},
        model.parameters(),
    )
    assert isinstance(optimizer, SequentialOptimizer)
    assert isinstance(optimizer.active, AdamW)


class Counting(SGD):
    """An optimizer that counts its steps in its groups, as some do."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["step"] = group.get("step", 0) + 1
        return super().step(closure)


def test_what_an_optimizer_counts_in_its_groups_does_not_reach_the_next_one() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    stages = [Counting([parameter], lr=0.1) for _ in range(2)]
    optimizer = SequentialOptimizer([parameter], stages, [2])
    counts = []
    for epoch in range(1, 5):
        optimizer.begin_epoch(epoch)
        parameter.grad = torch.ones(2)
        optimizer.step()
        counts.append(optimizer.param_groups[0]["step"])
    assert counts == [1, 2, 1, 2]


def rates_of(make_trainer: MakeTrainer, **setting: Any) -> list[float]:
    """The rate at the start of each epoch."""
    optimizer = {"name": "sequential", "optimizers": [ADAM, SGD_], "milestones": [3]}
    rates: list[float] = []

    def run(epochs: int) -> Trainer:
        def note(trainer: Any, config: Any, writer: Any) -> None:
            rates.append(trainer.optimizer.param_groups[0]["lr"])

        given = [copy.deepcopy(each) for each in setting.get("callbacks", ())]
        callbacks = [Callback("train_epoch_start", callback=note), *given]
        own = {"optimizer": optimizer, "max_iter": epochs, "checkpoint_every": 1, **setting}
        return make_trainer(**{**DOUBLE, **own, "callbacks": callbacks})

    run(6).fit()
    return rates


@pytest.mark.parametrize(
    ("setting", "factor"),
    [
        ({"lr_scheduler": {"name": "lambda", "lr_lambda": halved}}, halved),
        ({"lr_scheduler": "cosine_annealing"}, lambda n: (1 + cos(pi * n / 6)) / 2),
        (
            {
                "lr_scheduler": {
                    "name": "sequential",
                    "schedulers": [
                        {"name": "constant", "factor": 0.5, "total_iters": 9},
                        {"name": "exponential", "gamma": 0.5},
                    ],
                    "milestones": [4],
                }
            },
            lambda n: 0.5 if n < 4 else halved(n - 4),
        ),
        ({"callbacks": [LRSchedulerStepDecay(gamma=0.5)]}, halved),
        (
            {"callbacks": [LRSchedulerCosineAnnealing("train_epoch_end", 1, 6)]},
            lambda n: (1 + cos(pi * n / 6)) / 2,
        ),
        (
            {"callbacks": [LRSchedulerReduceOnPlateau(patience=0, threshold=0.999, verbose=False)]},
            lambda n: halved(max(0, n - 1 if n < 3 else n - 3)),
        ),
    ],
    ids=["lambda", "cosine", "sequential", "step decay", "cosine callback", "plateau"],
)
def test_schedules_of_a_trainer_multiply_the_rate_of_the_active_one(
    make_trainer: MakeTrainer, here: Path, setting: dict[str, Any], factor: Any
) -> None:
    expected = [(0.02 if n < 3 else 0.1) * factor(n) for n in range(6)]
    assert rates_of(make_trainer, **setting) == pytest.approx(expected)
