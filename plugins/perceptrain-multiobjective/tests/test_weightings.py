"""Every rule gives what torchjd itself gives, trains, and keeps the contract."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torchjd.aggregation as tjd
from torch import Tensor, nn

from perceptrain import FFNN, PerceptrainError, TrainConfig, Trainer, WeightedLoss, get_weighting
from perceptrain.errors import MissingDependencyError
from perceptrain.testing import check_plugin, check_weighting

AGGREGATORS: dict[str, Any] = {
    "pcgrad": tjd.PCGrad,
    "mgda": tjd.MGDA,
    "imtl_g": tjd.IMTLG,
    "aligned_mtl": tjd.AlignedMTL,
    "config": tjd.ConFIG,
    "upgrad": tjd.UPGrad,
    "dual_proj": tjd.DualProj,
    "cagrad": lambda: tjd.CAGrad(0.5),
    "fairgrad": lambda: tjd.FairGrad(1.0),
    "nash_mtl": lambda: tjd.NashMTL(3),
}

#: The solver takes most of the time of these tests.
QUICK: dict[str, dict[str, Any]] = {"nash_mtl": {"optim_niter": 3}}


def two_tasks(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    x, first, second, third = batch
    outputs = model(x)
    terms = {
        "first": (outputs[:, 0] - first).square().mean(),
        "second": 30 * (outputs[:, 0] - second).square().mean(),
        "third": (outputs[:, 1] - third).abs().mean(),
    }
    return terms["first"] + terms["second"] + terms["third"], terms


@pytest.fixture
def batch() -> tuple[Tensor, ...]:
    x = torch.linspace(-1, 1, 32).unsqueeze(-1)
    return x, x[:, 0], 0.5 * x[:, 0] + 0.3, x[:, 0].square()


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return FFNN([1, 8, 2], "tanh")


def weighted(name: str) -> WeightedLoss:
    return WeightedLoss(two_tasks, {"name": name, **QUICK.get(name, {})})


def test_opposite_gradients_leave_the_weights_unchanged(model: nn.Module) -> None:
    def opposed(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        fit = model(batch).square().mean()
        return fit, {"up": fit, "down": 1 - fit}

    loss_fn = WeightedLoss(opposed, "imtl_g")
    terms = opposed(torch.ones(4, 1), model)[1]
    gramian = jacobian(terms, model) @ jacobian(terms, model).T
    assert not tjd.IMTLGWeighting()(gramian).any()  # what torchjd returns
    metrics = loss_fn(torch.ones(4, 1), model)[1]
    assert (metrics["weight_up"], metrics["weight_down"]) == (1, 1)


def jacobian(terms: dict[str, Tensor], model: nn.Module) -> Tensor:
    parameters = [*model.parameters()]
    rows = [
        torch.autograd.grad(term, parameters, retain_graph=True, materialize_grads=True)
        for term in terms.values()
    ]
    return torch.stack([torch.cat([g.reshape(-1) for g in row]) for row in rows]).double()


def gradient(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.reshape(-1) for p in model.parameters()]).double()


@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem")
@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@pytest.mark.parametrize("name", AGGREGATORS)
def test_the_gradient_is_that_of_torchjd(name: str, batch: Any, model: nn.Module) -> None:
    loss_fn, aggregator = WeightedLoss(two_tasks, name), AGGREGATORS[name]()
    for seed in range(3):
        model.zero_grad()
        torch.manual_seed(seed)
        loss_fn(batch, model)[0].backward()
        torch.manual_seed(seed)
        expected = aggregator(jacobian(two_tasks(batch, model)[1], model))
        torch.testing.assert_close(gradient(model), expected, rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.05 * parameter.grad


@pytest.mark.slow
@pytest.mark.parametrize("name", AGGREGATORS)
def test_it_trains_by_name(name: str, batch: Any, model: nn.Module) -> None:
    trainer = Trainer(
        model,
        {"name": "adam", "lr": 1e-2},
        TrainConfig(max_iter=60, verbose=False),
        WeightedLoss(two_tasks, {"name": name, "every": 2, **QUICK.get(name, {})}),
    )
    trainer.fit([batch])
    first, last = trainer.history[0], trainer.history[-1]
    for term in ("train_first", "train_second", "train_third"):
        assert last[term] < first[term]


@pytest.mark.slow
@pytest.mark.parametrize("name", AGGREGATORS)
def test_the_contract_is_kept(name: str) -> None:
    check_weighting(get_weighting(name, **QUICK.get(name, {})))


def test_the_plugin_is_one() -> None:
    check_plugin("perceptrain-multiobjective")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pcgrad", "nash_mtl"])
def test_a_resume_is_bit_identical(name: str, batch: Any, tmp_path: Path) -> None:
    def fit(folder: str, epochs: int, resume: bool = False) -> list[Any]:
        torch.manual_seed(0)
        model = FFNN([1, 4, 2], "tanh")
        config = TrainConfig(
            max_iter=epochs,
            verbose=False,
            root_folder=tmp_path / folder,
            checkpoint_every=1,
            seed=3,
        )
        trainer = Trainer(model, "adam", config, weighted(name))
        trainer.fit([batch], resume=resume)
        return [[p.tolist() for p in model.parameters()], [*trainer.history]]

    whole = fit("whole", 6)
    fit("cut", 3)
    assert fit("cut", 6, resume=True) == whole


@pytest.mark.parametrize("name", ["aligned_mtl", "config", "upgrad", "dual_proj"])
def test_preferences_are_by_name(name: str, batch: Any, model: nn.Module) -> None:
    preference = {"third": 4.0, "first": 1.0, "second": 2.0}
    loss_fn = WeightedLoss(two_tasks, get_weighting(name, preference=preference))
    loss_fn(batch, model)[0].backward()
    kind = type(AGGREGATORS[name]())
    aggregator = kind(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))
    expected = aggregator(jacobian(two_tasks(batch, model)[1], model))
    torch.testing.assert_close(gradient(model), expected, rtol=1e-4, atol=1e-5)


def test_a_rule_that_gives_no_numbers_leaves_the_weights(batch: Any, model: nn.Module) -> None:
    def still(batch: Any, model: nn.Module) -> Any:
        terms = {name: 0 * term for name, term in two_tasks(batch, model)[1].items()}
        return terms["first"], terms

    for name in AGGREGATORS:
        _, metrics = WeightedLoss(still, name)(batch, model)
        assert all(value.isfinite() for value in metrics.values()), name


def test_a_copy_goes_on_by_itself(batch: Any, model: nn.Module) -> None:
    loss_fn = WeightedLoss(two_tasks, "nash_mtl")
    loss_fn(batch, model)
    clone = copy.deepcopy(loss_fn)
    assert clone(batch, model)[0].item() == loss_fn(batch, model)[0].item()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: get_weighting("cagrad", c=-1), "c=-1: expected a number of at least 0"),
        (lambda: get_weighting("fairgrad", alpha=0), "alpha=0: expected a number above 0"),
        (lambda: get_weighting("aligned_mtl", scale_mode="max"), "'min', 'median' or 'rmse'"),
        (lambda: get_weighting("nash_mtl", max_norm=-1), "max_norm=-1"),
        (lambda: get_weighting("upgrad", preference={"a": -1}), "the preference of 'a' is -1"),
        (lambda: get_weighting("mgda", every=0), "every=0"),
    ],
)
def test_what_cannot_be_is_told(make: Any, message: str) -> None:
    with pytest.raises(PerceptrainError, match=message):
        make()


def test_a_preference_that_is_missing(batch: Any, model: nn.Module) -> None:
    loss_fn = WeightedLoss(two_tasks, get_weighting("config", preference={"first": 1.0}))
    with pytest.raises(PerceptrainError, match="no preference for 'second', 'third'; expected"):
        loss_fn(batch, model)


def test_a_solver_that_is_missing(
    batch: Any, model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_solver(*args: Any) -> Any:
        raise ImportError("UPGradWeighting requires ['quadprog']")

    monkeypatch.setattr("perceptrain_multiobjective.weightings.upgrad.UPGradWeighting", no_solver)
    loss_fn = WeightedLoss(two_tasks, "upgrad")
    with pytest.raises(MissingDependencyError, match=r"needs a solver .*multiobjective\[solvers\]"):
        loss_fn(batch, model)
