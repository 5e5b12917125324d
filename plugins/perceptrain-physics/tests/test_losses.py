"""Weightings of points against their formulas."""

from __future__ import annotations

from itertools import repeat
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, PerceptrainError, TrainConfig, Trainer, WeightedLoss, get_loss
from perceptrain.testing import check_loss
from perceptrain_physics import CausalLoss, Heat, ResidualAttentionLoss, SelfAdaptiveLoss, laplacian

SIZES = {"pde": 12, "start": 5}


def model() -> PINN:
    torch.manual_seed(1)
    return PINN(
        FFNN([2, 6, 1]),
        {"pde": lambda x, u: laplacian(u(x), x) + 1, "start": lambda x, u: u(x) - 1},
    )


def batch() -> dict[str, Tensor]:
    torch.manual_seed(2)
    return {name: torch.rand(size, 2) for name, size in SIZES.items()}


def losses() -> list[nn.Module]:
    return [
        CausalLoss(epsilon=[0.1, 1.0]),
        ResidualAttentionLoss(start=0.5),
        SelfAdaptiveLoss(SIZES),
    ]


@pytest.mark.parametrize("loss_fn", losses(), ids=lambda loss: type(loss).__name__)
def test_the_contract_is_kept(loss_fn: nn.Module) -> None:
    check_loss(loss_fn, batch(), model())


@pytest.mark.parametrize("loss_fn", losses(), ids=lambda loss: type(loss).__name__)
def test_nothing_is_weighed_and_nothing_changes_in_validation(loss_fn: nn.Module) -> None:
    pinn = model()
    loss_fn(batch(), pinn)
    before = {name: torch.as_tensor(v).clone() for name, v in plain_state(loss_fn).items()}
    expected, terms = get_loss("mse")(batch(), pinn)
    with torch.no_grad():
        quiet, _ = loss_fn(batch(), pinn)
    pinn.eval()
    evaluated, names = loss_fn(batch(), pinn)
    torch.testing.assert_close(quiet, expected.detach())
    torch.testing.assert_close(evaluated, expected)
    assert set(names) == set(terms)
    for name, value in plain_state(loss_fn).items():
        assert torch.equal(torch.as_tensor(value), before[name])


def plain_state(loss_fn: nn.Module) -> dict[str, Tensor]:
    state = dict(loss_fn.state_dict())
    extra = state.pop("_extra_state", {}).get("weights", {})
    return {**state, **extra}


def test_causal_weights_are_those_of_the_paper() -> None:
    points = batch()
    pinn = model()
    loss_fn = CausalLoss(epsilon=2.0, slabs=4, time=1)
    loss, terms = loss_fn(points, pinn)
    squares = pinn(points)["pde"][:, 0].square().detach()
    total, sums, filled = torch.tensor(0.0), torch.tensor(0.0), 0
    for slab in range(4):
        inside = (points["pde"][:, 1] * 4).floor() == slab
        if inside.any():
            mean = squares[inside].mean()
            weight = torch.exp(-2.0 * sums)
            total, sums, filled = total + weight * mean, sums + mean, filled + 1
    torch.testing.assert_close(terms["pde"].detach(), total / filled)
    torch.testing.assert_close(loss, terms["pde"] + terms["start"])
    assert 0 < loss_fn.min_weight < 1


def test_causal_gradients_do_not_go_through_the_weights() -> None:
    loss_fn = CausalLoss(epsilon=1.0, slabs=2)
    squares = torch.tensor([1.0, 2.0], requires_grad=True)
    loss_fn.weigh("pde", torch.tensor([[0.1], [0.9]]), squares, True).backward()
    torch.testing.assert_close(squares.grad, torch.tensor([0.5, 0.5 * 0.36787944]))


def test_causal_goes_on_to_the_next_epsilon() -> None:
    loss_fn = CausalLoss(epsilon=[0.1, 1.0, 10.0])
    points = torch.rand(20, 1)
    stages = []
    for size in (1.0, 1e-3, 1e-5, 1e-5):
        loss_fn.weigh("pde", points, torch.full((20,), size), True)
        stages.append(int(loss_fn.stage))
    assert stages == [0, 1, 2, 2]
    assert loss_fn.epsilon == 10.0
    other = CausalLoss(epsilon=[0.1, 1.0, 10.0])
    other.load_state_dict(loss_fn.state_dict())
    assert other.epsilon == 10.0


def test_residual_attention_is_that_of_the_paper() -> None:
    loss_fn = ResidualAttentionLoss(decay=0.9, rate=0.1)
    weights = torch.zeros(3)
    for sizes in ([1.0, 2.0, 4.0], [3.0, 1.0, 0.0]):
        r = torch.tensor(sizes)
        term = loss_fn.weigh("pde", torch.rand(3, 1), r.square(), True)
        weights = 0.9 * weights + 0.1 * r / r.max()
        torch.testing.assert_close(loss_fn.weights["pde"], weights)
        torch.testing.assert_close(term, (weights * r).square().mean())
    for _ in range(200):
        loss_fn.weigh("pde", torch.rand(3, 1), r.square(), True)
    assert loss_fn.weights["pde"].max() <= 1.0 + 1e-6
    loss_fn.weigh("pde", torch.rand(3, 1), torch.zeros(3), True)
    assert loss_fn.weights["pde"].isfinite().all()


def test_self_adaptive_weights_climb_and_the_model_descends() -> None:
    points, pinn = batch(), model()
    loss_fn = SelfAdaptiveLoss(SIZES, start=2.0)
    loss, terms = loss_fn(points, pinn)
    residual = pinn(points)["pde"][:, 0]
    torch.testing.assert_close(terms["pde"], (4 * residual.square()).mean())
    loss.backward()
    climb = 2 * 2.0 * residual.detach().square() / SIZES["pde"]
    torch.testing.assert_close(loss_fn.weights["pde"].grad, -climb)
    parameters = list(pinn.parameters())
    plain = torch.autograd.grad(4 * get_loss("mse")(points, pinn)[0], parameters)
    for parameter, gradient in zip(parameters, plain, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize("name", ["causal", "residual_attention", "self_adaptive"])
def test_training_by_name_and_a_resume_bit_for_bit(name: str, tmp_path: Path) -> None:
    options = {"self_adaptive": {"sizes": {"pde": 40, "initial": 10, "boundary": 20}}}

    def run(folder: str, epochs: int, resume: bool = False) -> tuple[nn.Module, nn.Module]:
        torch.manual_seed(5)
        problem = Heat()
        points = {n: s(40 if n == "pde" else 10) for n, s in problem.samplers.items()}
        pinn, loss_fn = problem.pinn(hidden=[8]), get_loss(name, **options.get(name, {}))
        config = TrainConfig(
            max_iter=epochs, verbose=False, root_folder=tmp_path / folder, checkpoint_every=1
        )
        trainer = Trainer(pinn, "adam", config, loss_fn=loss_fn)
        trainer.fit([points], resume=resume)
        return pinn, loss_fn

    whole, weights = run("whole", 6)
    run("parts", 3)
    parts, again = run("parts", 6, resume=True)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(one, other)
    for key, value in plain_state(weights).items():
        assert torch.equal(value, plain_state(again)[key])
    if name == "self_adaptive":
        assert (weights.weights["pde"] > 1).all()


def test_weights_change_once_in_a_step_of_lbfgs() -> None:
    problem = Heat()
    pinn, loss_fn = problem.pinn(hidden=[4]), ResidualAttentionLoss(decay=0.5, rate=0.5)
    points = {name: sample(6) for name, sample in problem.samplers.items()}
    calls: list[bool] = []
    weigh = loss_fn.weigh

    def counted(name: str, points: Tensor, squares: Tensor, update: bool) -> Tensor:
        calls.append(update)
        return weigh(name, points, squares, update)

    loss_fn.weigh = counted  # type: ignore[method-assign]
    optimizer = torch.optim.LBFGS(pinn.parameters(), max_iter=5)
    config = TrainConfig(max_iter=2, verbose=False)
    Trainer(pinn, optimizer, config, loss_fn=loss_fn).fit(repeat(points))
    assert sum(calls) == 2 * 3
    assert len(calls) > 4 * 3


def test_causal_weights_are_one_function_in_a_step() -> None:
    """Also where the model moves between the calls of a closure."""
    loss_fn, pinn, points = CausalLoss(epsilon=5.0, slabs=3), model(), batch()
    values = []
    for moved in (False, True):
        loss_fn.begin_step()
        loss_fn(points, pinn)
        held = loss_fn._weights["pde"].clone()
        with torch.no_grad():
            for parameter in pinn.parameters():
                parameter += 0.3 * moved
        loss_fn(points, pinn)
        values.append(torch.equal(loss_fn._weights["pde"], held))
    loss_fn.begin_step()
    loss_fn(points, pinn)
    assert values == [True, True]
    assert not torch.equal(loss_fn._weights["pde"], held)


def test_names_of_conditions_may_be_anything() -> None:
    loss_fn = SelfAdaptiveLoss({"a.b": 3, "values": 2})
    assert {name: len(weights) for name, weights in loss_fn.weights.items()} == {
        "a.b": 3,
        "values": 2,
    }


def test_terms_can_be_weighed_as_well() -> None:
    loss_fn = WeightedLoss(CausalLoss(), {"name": "fixed", "weights": {"start": 10.0}})
    points, pinn = batch(), model()
    loss, metrics = loss_fn(points, pinn)
    torch.testing.assert_close(loss.detach(), metrics["pde"] + 10 * metrics["start"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CausalLoss("pde"), r"such as \['pde'\]"),
        (lambda: CausalLoss(epsilon=[1.0, 0.1]), "increasing"),
        (lambda: CausalLoss(slabs=0), "slabs=0: expected a whole number of at least 1"),
        (lambda: CausalLoss(["ode"])(batch(), model()), "Name some of these"),
        (lambda: CausalLoss()((torch.rand(3, 2), torch.rand(3, 1)), FFNN([2, 1])), "a dict of"),
        (lambda: ResidualAttentionLoss(decay=1.0), "below 1"),
        (lambda: SelfAdaptiveLoss({}), "number of points"),
        (lambda: SelfAdaptiveLoss(SIZES, power=0.5), "power=0.5: expected a number of at least 1"),
        (lambda: CausalLoss(epsilon="1"), "increasing"),
        (lambda: CausalLoss(epsilon=["1"]), "increasing"),
        (lambda: CausalLoss(slabs="16"), "slabs='16': expected a whole number"),
        (lambda: CausalLoss(span=1.0), "two times"),
        (lambda: CausalLoss(span=("0", "1")), "two times"),
        (lambda: CausalLoss(time="t"), "time='t': expected a whole number"),
        (lambda: CausalLoss(delta="1"), "delta='1': expected a number"),
        (lambda: ResidualAttentionLoss(decay="0.9"), "decay='0.9': expected a number"),
        (lambda: ResidualAttentionLoss(rate="1"), "rate='1': expected a number above 0"),
        (lambda: ResidualAttentionLoss(start=None), "start=None: expected a number"),
        (lambda: SelfAdaptiveLoss(["pde"]), "number of points"),
        (lambda: SelfAdaptiveLoss({"pde": "7"}), "number of points"),
        (lambda: SelfAdaptiveLoss(SIZES, start="1"), "start='1': expected a number above 0"),
        (lambda: SelfAdaptiveLoss({"pde": 7})(batch(), model()), "7 weights for the points"),
    ],
)
def test_what_cannot_be_is_told(make: object, message: str) -> None:
    with pytest.raises(PerceptrainError, match=message):
        make()  # type: ignore[operator]
