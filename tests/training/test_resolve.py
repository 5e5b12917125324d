"""Models, losses, optimizers and trackers as people give them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import LBFGS, SGD, Adam

from perceptrain import (
    FFNN,
    PINN,
    Callback,
    GradWeightedLoss,
    TrainConfig,
    Trainer,
    get_loss,
    get_model,
    load_checkpoint,
)
from perceptrain.errors import (
    LossContractError,
    OptionError,
    PerceptrainError,
    TrainingError,
    UnknownNameError,
)

MakeTrainer = Callable[..., Trainer]
Net = Callable[..., nn.Module]
Rows = tuple[Tensor, Tensor]


def first_loss(trainer: Trainer) -> float:
    trainer.fit()
    return trainer.history[0]["train_loss"]


@pytest.mark.parametrize(
    "loss_fn",
    [
        "huber",
        "perceptrain-core/huber",
        {"name": "huber", "delta": 1.0},
        nn.HuberLoss(),
        F.huber_loss,
        "perceptrain_core.losses.huber:huber_loss",
        get_loss("huber"),
        get_loss("huber", delta=1.0),
        lambda batch, model: (F.huber_loss(model(batch[0]), batch[1]), {}),
    ],
)
def test_one_loss_in_many_words(make_trainer: MakeTrainer, loss_fn: Any) -> None:
    reference = first_loss(make_trainer(nn.HuberLoss()))
    assert first_loss(make_trainer(loss_fn)) == reference
    assert first_loss(make_trainer({"name": "huber", "delta": 0.1})) != reference


def test_loss_from_a_file(make_trainer: MakeTrainer, here: Path) -> None:
    (here / "mine.py").write_text(
        "def fancy(batch, model):\n    return (model(batch[0]) - batch[1]).abs().mean(), {}\n"
    )
    assert first_loss(make_trainer("./mine.py:fancy")) == first_loss(make_trainer("l1"))


def test_mse_is_the_default(rows: Rows, make_net: Net) -> None:
    model = make_net()
    config = TrainConfig(max_iter=1, batch_size=20, shuffle=False, verbose=False)
    trainer = Trainer(model, SGD(model.parameters(), lr=0.1), config)
    expected = F.mse_loss(model(rows[0]), rows[1]).item()
    trainer.fit(rows)
    assert trainer.history[0]["train_loss"] == pytest.approx(expected)


class Mine(nn.Module):
    def forward(self, batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return F.mse_loss(model(batch[0]), batch[1]), {}


@pytest.mark.parametrize(
    ("loss_fn", "error", "message"),
    [
        (123, LossContractError, "The loss is 123; expected the name of a registered loss"),
        (nn.MSELoss, LossContractError, r"pass nn.MSELoss\(\), not nn.MSELoss"),
        (Mine, LossContractError, r"The loss is the class Mine; pass Mine\(\.\.\.\), an object"),
        ("msee", UnknownNameError, "'mse'"),
        ({"name": "huber", "dleta": 1.0}, OptionError, "dleta(.|\n)*delta"),
        ({"delta": 1.0}, OptionError, "needs the key 'name'"),
        (nn.MSELoss(reduction="none"), LossContractError, 'reduction="none"'),
    ],
)
def test_no_loss(
    make_trainer: MakeTrainer, loss_fn: Any, error: type[PerceptrainError], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_trainer(loss_fn)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (Adam, "or the name of one; got the class Adam"),
        (3, "must be a torch.optim.Optimizer.*; got int"),
        (lambda p: None, "got function"),
    ],
)
def test_no_optimizer(make_trainer: MakeTrainer, optimizer: Any, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        make_trainer(optimizer=optimizer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "adam", "lr": "fast"}, "with lr='fast': TypeError.* Is lr meant as a number"),
        ({"name": "adam", "lr": float("nan")}, "with lr=nan: ValueError: Invalid learning rate"),
        ({"name": "sgd", "momentum": -1}, "'sgd' cannot be created with momentum=-1: ValueError"),
        ({"name": "sgd", "momentum": float("nan")}, "The optimizer SGD has momentum=nan"),
    ],
)
def test_options_that_an_optimizer_refuses(
    make_trainer: MakeTrainer, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((OptionError, TrainingError), match=message):
        make_trainer(optimizer=options)


@pytest.mark.parametrize(
    ("settings", "optimizer", "what"),
    [
        ({"ema": 0.9}, "adam", "ema"),
        ({"nprocs": 2}, "adam", "training in several processes"),
        ({}, "lbfgs", "L-BFGS"),
        ({}, "ssbroyden", "SSBroyden"),
    ],
)
def test_a_lazy_module_in_a_run_that_needs_its_shapes(
    make_trainer: MakeTrainer, rows: Rows, settings: dict[str, Any], optimizer: str, what: str
) -> None:
    model = nn.LazyLinear(1)
    with pytest.raises(
        TrainingError, match=rf"'weight' of LazyLinear has no shape .* {what} needs"
    ):
        make_trainer(model=model, optimizer=optimizer, **settings).fit()
    make_trainer(model=model, max_iter=1).fit()  # the plain case needs none


def test_a_model_without_values(make_trainer: MakeTrainer) -> None:
    with pytest.raises(TrainingError, match=r"on the device 'meta'.* model.to_empty"):
        make_trainer(model=nn.Linear(2, 1, device="meta"))


def test_optimizer_of_another_model(make_trainer: MakeTrainer, make_net: Net) -> None:
    optimizer = Adam(make_net().parameters())
    with pytest.raises(TrainingError, match=r"none of the parameters of FFNN.*another model"):
        make_trainer(optimizer=optimizer)


def test_optimizer_of_a_part_of_the_model(make_trainer: MakeTrainer, make_net: Net) -> None:
    model: Any = make_net()
    first = model.network[0].weight.detach().clone()
    trainer = make_trainer(model=model, optimizer=Adam(model.network[2].parameters()))
    expected = r"does not have 2 of the 4 parameters of FFNN .* 'network.0.weight', "
    with pytest.warns(UserWarning, match=expected):
        trainer.fit()
    assert torch.equal(model.network[0].weight, first)
    model.network[0].requires_grad_(False)  # on purpose
    trainer.fit()


@pytest.mark.parametrize("optimizer", ["sgd", {"name": "sgd", "lr": 0.05, "momentum": 0.5}])
def test_optimizer_by_name(make_trainer: MakeTrainer, optimizer: Any) -> None:
    trainer = make_trainer(optimizer=optimizer)
    assert type(trainer.optimizer) is SGD
    if isinstance(optimizer, dict):
        assert trainer.optimizer.param_groups[0]["momentum"] == 0.5
    trainer.fit()
    assert trainer.history[1]["train_loss"] < trainer.history[0]["train_loss"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear, r"got the class Linear. Pass Linear\("),
        ("ffnn", r"got str. Build a model by name with perceptrain.get_model\("),
        (3, "got int. Derive the model from nn.Module"),
    ],
)
def test_no_model(make_net: Net, model: Any, message: str) -> None:
    with pytest.raises(TrainingError, match=f"model must be a torch.nn.Module object, {message}"):
        Trainer(model, None, TrainConfig())


class Incomplete(nn.Module):
    def __init__(self) -> None:
        self.size = 3


def test_a_model_without_parameters() -> None:
    with pytest.raises(
        TrainingError, match="Identity has no parameters, so nothing can be trained"
    ):
        Trainer(nn.Identity(), "adam", TrainConfig())
    with pytest.raises(TrainingError, match=r"Incomplete is not .* call super\(\).__init__\(\)"):
        Trainer(Incomplete(), "adam", TrainConfig())


def test_no_config(make_net: Net) -> None:
    with pytest.raises(TrainingError, match="config must be a TrainConfig, got dict"):
        Trainer(make_net(), None, {})  # type: ignore[arg-type]


def test_something_that_is_no_tracker(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(tracking_tool="builtins:dict")
    with pytest.raises(TrainingError, match="'builtins:dict' returned dict"):
        trainer.fit()


@pytest.mark.parametrize("tool", ["csv", "tensorboard", "none", None])
def test_trackers_by_name(make_trainer: MakeTrainer, tool: str | None) -> None:
    trainer = make_trainer(tracking_tool=tool, write_every=1, hyperparams={"lr": 0.1})
    trainer.fit()
    written = trainer.log_folder.exists() and {p.suffix for p in trainer.log_folder.iterdir()}
    assert written == {"csv": {".csv", ".json"}, "none": False}.get(str(tool), written)
    assert bool(written) is (tool != "none")


class Scaled(nn.Module):
    """A loss with a parameter of its own, as uncertainty weighting has."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        error = F.mse_loss(model(batch[0]), batch[1])
        return error * torch.exp(-self.log_scale) + self.log_scale, {"scale": self.log_scale}


@pytest.mark.parametrize("by_name", [False, True])
def test_loss_with_parameters_is_trained(make_trainer: MakeTrainer, by_name: bool) -> None:
    loss_fn = Scaled()
    trainer = make_trainer(loss_fn, optimizer={"name": "adam", "lr": 0.1} if by_name else None)
    first, second = trainer.optimizer.param_groups
    assert second["params"] == [loss_fn.log_scale]
    assert first["lr"] == second["lr"]
    trainer.fit()
    assert loss_fn.log_scale.item() != 0.5
    assert trainer.history[0]["train_scale"] != trainer.history[1]["train_scale"]
    assert len(trainer.optimizer.param_groups) == 2


def test_loss_with_parameters_that_the_user_gave_to_the_optimizer(
    make_trainer: MakeTrainer, make_net: Net
) -> None:
    model, loss_fn = make_net(), Scaled()
    optimizer = LBFGS([*model.parameters(), *loss_fn.parameters()], lr=0.1)
    trainer = make_trainer(loss_fn, model=model, optimizer=optimizer)
    trainer.fit()
    assert len(optimizer.param_groups) == 1
    assert loss_fn.log_scale.item() != 0.5


def test_loss_with_parameters_and_lbfgs(make_trainer: MakeTrainer) -> None:
    with pytest.raises(TrainingError, match=r"only one group: .*\*loss_fn.parameters\(\)"):
        make_trainer(Scaled(), optimizer="lbfgs")


def test_loss_with_parameters_takes_the_dtype_and_is_saved(make_trainer: MakeTrainer) -> None:
    settings = {"dtype": "float64", "checkpoint_every": 1}
    trainer = make_trainer(Scaled(), **settings)
    trainer.fit()
    loss_fn: Any = trainer.loss_fn
    assert loss_fn.log_scale.dtype is torch.float64
    again = Scaled()
    make_trainer(again, **settings).fit(resume=True)
    assert torch.equal(again.log_scale, loss_fn.log_scale)
    load_checkpoint(trainer.log_folder, trainer.model, trainer.optimizer)


def test_loss_object_with_a_state_is_saved(make_trainer: MakeTrainer) -> None:
    class Annealed:
        def __init__(self) -> None:
            self.calls = 0

        def __call__(self, batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
            self.calls += 1
            return F.mse_loss(model(batch[0]), batch[1]), {}

        def state_dict(self) -> dict[str, int]:
            return {"calls": self.calls}

        def load_state_dict(self, state: dict[str, int]) -> None:
            self.calls = state["calls"]

    make_trainer(Annealed(), checkpoint_every=1).fit()
    again = Annealed()
    make_trainer(again, checkpoint_every=1, max_iter=3).fit(resume=True)
    assert again.calls == 12


def test_provenance_of_what_came_by_a_name(make_trainer: MakeTrainer) -> None:
    from perceptrain import __version__
    from perceptrain_core.checkpoints.file import read_file

    trainer = make_trainer({"name": "huber", "delta": 2.0}, optimizer="sgd", checkpoint_every=1)
    trainer.fit()
    assert trainer.provenance == {
        part: {
            "name": f"perceptrain-core/{name}",
            "distribution": "perceptrain-core",
            "version": __version__,
        }
        for part, name in [("loss", "huber"), ("optimizer", "sgd")]
    }
    state = read_file(trainer.log_folder / "checkpoint_epoch_000002.pt")
    assert state["provenance"] == trainer.provenance
    assert state["config"]["max_iter"] == 2
    assert make_trainer(lambda batch, model: None).provenance.get("loss") is None


def test_each_part_that_came_by_a_name_is_on_record(rows: Rows) -> None:
    model = get_model("ffnn", layers=[2, 4, 1])
    config = TrainConfig(callbacks=["write_plots"])
    trainer = Trainer(model, {"name": "sgd", "lr": 0.1}, config, {"name": "huber", "delta": 2.0})
    assert {part: entry["name"] for part, entry in trainer.provenance.items()} == {
        "model": "perceptrain-core/ffnn",
        "loss": "perceptrain-core/huber",
        "optimizer": "perceptrain-core/sgd",
        "callback_0": "perceptrain-core/write_plots",
    }
    own = Trainer(model, SGD(model.parameters(), lr=0.1), TrainConfig(), lambda b, m: None)
    assert set(own.provenance) == {"model"}


def test_a_named_callback_is_made_once(make_trainer: MakeTrainer, rows: Rows) -> None:
    trainer = make_trainer(callbacks=["save_best_checkpoint"], val=rows, val_every=1)
    (callback,) = trainer.callbacks
    trainer.fit()
    assert trainer.callbacks == (callback,)
    assert callback.best_loss == min(row["val_loss"] for row in trainer.history)


def test_an_assignment_of_callbacks_would_be_lost(make_trainer: MakeTrainer) -> None:
    seen: list[int] = []
    callback = Callback("train_epoch_end", callback=lambda t, c, w: seen.append(t.current_epoch))
    trainer = make_trainer()
    with pytest.raises(TrainingError, match=r"Assign trainer.config.callbacks = \[...\]"):
        trainer.callbacks = [callback]
    trainer.config.callbacks = [callback]
    trainer.fit()
    assert seen == [1, 2]
    assert trainer.callbacks == (callback,)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (3, "Expected a function optimize_step.*, got int"),
        (lambda model, optimizer, loss_fn, xs: None, "cannot be called as optimize_step.*'device'"),
    ],
)
def test_a_step_that_cannot_be_called(make_trainer: MakeTrainer, step: Any, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        make_trainer(options={"optimize_step": step})


def test_what_a_step_of_ones_own_returns_is_checked(make_trainer: MakeTrainer) -> None:
    def step(model: Any, optimizer: Any, loss_fn: Any, xs: Any, device: Any, dtype: Any) -> Any:
        return loss_fn(xs, model)[0]

    with pytest.raises(LossContractError, match="returned a tensor of shape"):
        make_trainer(options={"optimize_step": step}).fit()


def test_weights_follow_whatever_step_is_taken() -> None:
    def equation(points: Tensor, net: nn.Module) -> Tensor:
        return net(points) - 5

    def step(model: Any, optimizer: Any, loss_fn: Any, xs: Any, device: Any, dtype: Any) -> Any:
        optimizer.zero_grad()
        loss, metrics = loss_fn(xs, model)
        loss.backward()
        optimizer.step()
        return loss, metrics

    torch.manual_seed(0)
    model = PINN(FFNN([1, 4, 1]), {"a": equation, "b": lambda points, net: 0.1 * net(points)})
    points = {"a": torch.rand(8, 1), "b": torch.zeros(1, 1)}
    loss_fn = GradWeightedLoss(fixed_metric="a", every=1)
    seen = []
    for chosen in ({}, {"optimize_step": step}):
        config = TrainConfig(max_iter=3, verbose=False)
        trainer = Trainer(model, {"name": "adam"}, config, loss_fn, [points], **chosen)
        trainer.fit()
        seen += [row["train_weight_b"] for row in trainer.history]
    assert len(set(seen)) == 6
    loss_fn(points, model.train())  # a loop of one's own, after the trainer's
    assert loss_fn.metric_weights["b"] != pytest.approx(seen[-1])


def test_a_metric_named_loss_is_the_loss_or_refused(make_trainer: MakeTrainer) -> None:
    def loss_fn(batch: Rows, model: nn.Module) -> Any:
        loss = F.mse_loss(model(batch[0]), batch[1])
        return loss, {"loss": loss.detach() * factor}

    factor = 1.0
    trainer = make_trainer(loss_fn)
    trainer.fit()
    assert all(set(row) == {"train_loss"} for row in trainer.history)
    factor = 2.0
    with pytest.raises(LossContractError, match="A metric is named 'loss'"):
        make_trainer(loss_fn).fit()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("config", {"max_iter": 3}, "config must be a TrainConfig, got dict"),
        ("config", None, "config must be a TrainConfig"),
        ("metrics", 5, "metrics"),
        ("optimize_step", "step", "Expected a function optimize_step"),
        ("max_batches", 0, "max_batches=0: expected a whole number of at least 1"),
        ("loss_fn", 123, "The loss is 123"),
        ("model", 5, "model must be a torch.nn.Module object, got int"),
    ],
)
def test_what_is_assigned_is_checked(
    make_trainer: MakeTrainer, name: str, value: Any, message: str
) -> None:
    trainer = make_trainer()
    with pytest.raises(PerceptrainError, match=message):
        setattr(trainer, name, value)
    trainer.fit()


def test_what_is_assigned_has_its_effects(make_trainer: MakeTrainer, make_net: Net) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, batch: Rows, model: nn.Module) -> Any:
            return F.mse_loss(self.scale * model(batch[0]), batch[1]), {}

    trainer = make_trainer()
    trainer.loss_fn = loss = Scaled()
    trainer.fit()
    assert loss.scale.item() != 2.0
    trainer.config = replace(trainer.config, dtype="float64")
    trainer.fit()
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float64}
    trainer.model = make_net()
    with pytest.raises(TrainingError, match="it was created for another model"):
        trainer.fit()
    trainer.optimizer = "adam"
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.fit()
    assert not any(map(torch.equal, before, trainer.model.parameters()))


def test_the_first_call_says_how_a_loss_is_called(make_trainer: MakeTrainer) -> None:
    class Criterion(nn.Module):
        def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
            return (outputs - labels).square().mean()

    with pytest.raises(TypeError) as caught:
        make_trainer(Criterion()).fit()
    assert "pass perceptrain.supervised(criterion)" in caught.value.__notes__[0]
