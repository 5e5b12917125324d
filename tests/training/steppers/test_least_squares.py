"""Steps on the residuals of a loss: against dense algebra, and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from perceptrain import FFNN, PINN, SkipBatch, WeightedLoss, default_optimize_step, get_loss
from perceptrain.errors import LossContractError, NonFiniteLossError, TrainingError
from perceptrain.optimizers import GaussNewton
from perceptrain.weightings import Weighting
from perceptrain_core.training.steppers.base import StepOutcome
from perceptrain_core.training.steppers.least_squares import LeastSquaresStepper

from ...shared import same

mse = get_loss("mse")


def net(*last: nn.Module) -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2), *last).double()


def rows(count: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(count, 3, dtype=torch.float64, generator=generator)
    return x, torch.stack([x.prod(1), x.sin().sum(1)], 1)


def parts(*counts: int) -> list[Any]:
    x, y = rows(sum(counts))
    return list(zip(x.split(counts), y.split(counts), strict=True))


def vector(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def step(model: nn.Module, batches: list[Any], loss_fn: Any = mse, **options: Any) -> StepOutcome:
    optimizer = GaussNewton(model.parameters(), **options)
    return LeastSquaresStepper(model, optimizer, loss_fn).take(batches)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_a_step_is_that_of_dense_algebra(solver: Any) -> None:
    model, (x, y) = net(), rows()
    expected = vector(model)

    def residuals(theta: Tensor) -> Tensor:
        named = dict(model.named_parameters())
        split = theta.split([p.numel() for p in named.values()])
        own = {n: part.view_as(named[n]) for n, part in zip(named, split, strict=True)}
        return ((torch.func.functional_call(model, own, (x,)) - y) / y.numel() ** 0.5).flatten()

    jacobian = torch.func.jacrev(residuals)(expected).numpy()
    r = residuals(expected).detach().numpy()
    damping = (jacobian**2).sum(0).max()
    if solver == "cg":  # which has an estimate only
        g = jacobian.T @ r
        damping = np.sum((jacobian @ g) ** 2) / np.sum(g**2)
    matrix = jacobian.T @ jacobian + damping * np.eye(len(expected))
    expected = expected - torch.from_numpy(np.linalg.solve(matrix, jacobian.T @ r))
    options = {"damping": 1.0, "cg_iterations": 1000, "cg_tolerance": 1e-12}
    options["acceleration"] = False
    loss, metrics = mse((x, y), model)
    ((result,), stepped) = step(model, [(x, y)], solver=solver, **options)
    assert stepped
    assert result is not None
    torch.testing.assert_close(vector(model), expected, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(result[0], loss.detach())
    assert result[1] == metrics == {}


@pytest.mark.parametrize("weighted", [False, True])
def test_several_batches_count_as_one(weighted: bool) -> None:
    one, several = net(), net()
    x, y = rows()
    weights = torch.rand(12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    batch = (x, y, weights) if weighted else (x, y)
    split = zip(*(tensor.split([5, 4, 3]) for tensor in batch), strict=True)
    step(one, [batch])
    results, stepped = step(several, list(split))
    assert stepped
    assert len(results) == 3
    torch.testing.assert_close(vector(several), vector(one), rtol=1e-9, atol=1e-11)


def oscillator() -> PINN:
    torch.manual_seed(0)

    def ode(t: Tensor, u: Any) -> Tensor:
        (v,) = torch.autograd.grad((value := u(t)).sum(), t, create_graph=True)
        (a,) = torch.autograd.grad(v.sum(), t, create_graph=True)
        return a + 4 * value

    return PINN(FFNN([1, 8, 1]).double(), {"ode": ode, "start": lambda t, u: u(t) - 1})


def times(ode: int, start: int) -> dict[str, Tensor]:
    t = torch.linspace(0, 1, ode, dtype=torch.float64).unsqueeze(1)
    return {"ode": t, "start": torch.zeros(start, 1, dtype=torch.float64)}


def test_terms_count_by_their_own_points() -> None:
    one, several = oscillator(), oscillator()
    whole = times(9, 3)
    uneven = [
        {"ode": whole["ode"][:7], "start": whole["start"][:1]},
        {"ode": whole["ode"][7:], "start": whole["start"][1:]},
    ]
    step(one, [whole])
    step(several, uneven)
    torch.testing.assert_close(vector(several), vector(one), rtol=1e-9, atol=1e-11)


def test_the_loss_is_evaluated_once_for_its_metrics_and_its_weights() -> None:
    """The model is called once before the step, and twice for each trial."""
    model, loss_fn = oscillator(), WeightedLoss("mse", {"name": "grad_norm_balance"})
    stepper = LeastSquaresStepper(model, GaussNewton(model.parameters()), loss_fn)
    stepper.take([times(9, 1)])
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    model.nn.register_forward_hook(count)
    ((result,), _) = stepper.take([times(9, 1)])
    assert result is not None
    assert calls == 6  # two equations, before, on the way and after
    assert result[1].keys() == {"ode", "start", "weight_ode", "weight_start"}
    loss = sum(result[1][f"weight_{name}"] * result[1][name] for name in ("ode", "start"))
    torch.testing.assert_close(result[0], loss)


def test_weights_from_gradients_are_those_of_the_loss() -> None:
    plain, model, batch = oscillator(), oscillator(), times(9, 2)
    losses = [WeightedLoss("mse", {"name": "grad_weighted", "fixed_metric": "ode"}) for _ in "ab"]
    losses[0](batch, plain)
    step(model, [batch], losses[1])
    for name, weight in losses[0].metric_weights.items():
        assert losses[1].metric_weights[name] == pytest.approx(weight, rel=1e-10)


def test_batches_that_are_skipped_do_not_count() -> None:
    def loss_fn(batch: Any, model: nn.Module) -> Any:
        if len(batch[0]) == 4:
            raise SkipBatch
        return mse(batch, model)

    loss_fn.residuals = mse.residuals  # type: ignore[attr-defined]
    one, several = net(), net()
    first, skipped = parts(5, 4)
    step(one, [first])
    results, stepped = step(several, [first, skipped], loss_fn)
    assert stepped
    assert results[1] is None
    assert same(one, several)
    before = vector(several)
    assert step(several, [skipped], loss_fn) == ([None], False)
    assert torch.equal(before, vector(several))


def test_a_step_in_a_loop_of_ones_own() -> None:
    model, optimizer = net(), None
    optimizer = GaussNewton(model.parameters())
    losses = [float(default_optimize_step(model, optimizer, mse, rows())[0]) for _ in range(12)]
    assert losses[-1] < 1e-3 * losses[0]


class OwnLoss:
    """A loss with residuals that may disagree with it."""

    def __init__(
        self, residuals: Callable[..., Any], loss: Callable[..., Any] | None = None
    ) -> None:
        self.residuals = residuals
        self._loss = loss or (lambda batch, model: (model(batch[0]) - batch[1]).square().sum())

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        return self._loss(batch, model), {}


def difference(batch: Any, model: nn.Module) -> Tensor:
    out: Tensor = model(batch[0]) - batch[1]
    return out


def test_a_loss_of_ones_own_is_minimized() -> None:
    """Values that call the model twice, and a scale for each row."""
    scale = torch.rand(12, 1, dtype=torch.float64)

    def residuals(batch: Any, model: nn.Module) -> Any:
        both = model(batch[0]) * model(-batch[0]) - batch[1]
        return {"product": (both, scale), "size": (model(batch[0]), 1e-6)}

    def loss(batch: Any, model: nn.Module) -> Tensor:
        terms = residuals(batch, model)
        return sum((s * v.square()).sum() for v, s in terms.values())  # type: ignore[return-value]

    model, loss_fn = net(), OwnLoss(residuals, loss)
    stepper = LeastSquaresStepper(model, GaussNewton(model.parameters()), loss_fn)
    results = [stepper.take([rows()])[0][0] for _ in range(20)]
    losses = [float(result[0]) for result in results if result]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.3 * losses[0]


def test_a_loss_that_is_another_sum_is_refused() -> None:
    loss_fn = OwnLoss(lambda batch, model: {"fit": (difference(batch, model), 0.5)})
    with pytest.raises(LossContractError, match="residuals sum up to"):
        step(net(), [rows()], loss_fn)


def test_a_negative_scale_is_refused() -> None:
    scale = torch.tensor([1.0, -1.0], dtype=torch.float64)
    loss_fn = OwnLoss(lambda batch, model: {"fit": (difference(batch, model), scale)})
    with pytest.raises(LossContractError, match="scale of the term 'fit'"):
        step(net(), [rows()], loss_fn)


def test_a_loss_with_another_gradient_is_refused() -> None:
    def loss(batch: Any, model: nn.Module) -> Tensor:
        squares = difference(batch, model).square()
        return 2 * squares.detach().sum() - squares.sum()

    loss_fn = OwnLoss(lambda batch, model: {"fit": (difference(batch, model), 1.0)}, loss)
    with pytest.raises(LossContractError, match="another gradient"):
        step(net(), [rows()], loss_fn)


class Centered(nn.Module):
    """Subtracts the mean over the batch, which no module of torch does under this name."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class Noise(nn.Module):
    """Adds random numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rand_like(x)


@pytest.mark.parametrize("last", [Centered(), Noise()])
def test_rows_that_depend_on_each_other_or_on_chance_are_refused(last: nn.Module) -> None:
    def residuals(batch: Any, model: nn.Module) -> Any:
        return {"good": (difference(batch, model[:3]), 1.0), "bad": (difference(batch, model), 1.0)}

    def loss(batch: Any, model: nn.Module) -> Tensor:
        terms = residuals(batch, model)
        return sum((s * v.square()).sum() for v, s in terms.values())  # type: ignore[return-value]

    model, before = net(last), vector(net(last))
    with pytest.raises((TrainingError, LossContractError), match="'bad'"):
        step(model, [rows()], OwnLoss(residuals, loss))
    assert torch.equal(vector(model), before)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.BatchNorm1d(2), r"BatchNorm1d \(3\) makes each row"),
        (nn.Dropout(0.1), r"Dropout \(3\) changes the loss at random"),
        (nn.RReLU(), r"RReLU \(3\) changes the loss at random"),
    ],
)
def test_modules_that_break_the_rows_are_named(module: nn.Module, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        step(net(module), [rows()])
    model = net(module)
    module.eval()
    assert step(model, [rows()])[1]


class Wrapped(nn.Module):
    """A module with another way to call it."""

    def __init__(self, module: nn.Module, call: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module, self.call = module, call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self.module, x)


class Shifted(nn.Module):
    """Subtracts an average of what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.lerp_(x.detach()[0] + 1, 0.5)
        return x - self.seen


def refused() -> list[Any]:
    def recomputed(module: nn.Module, x: Tensor, reentrant: bool) -> Tensor:
        out: Tensor = checkpoint(module, x.requires_grad_(), use_reentrant=reentrant)
        return out

    def layers() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))

    attention = nn.MultiheadAttention(2, 1, dropout=0.1, batch_first=True)
    return [
        (Wrapped(layers(), partial(recomputed, reentrant=False)), "torch.utils.checkpoint"),
        (Wrapped(layers(), partial(recomputed, reentrant=True)), "torch.utils.checkpoint"),
        (nn.Sequential(attention), r"MultiheadAttention \(3.0\) changes the loss at random"),
        (nn.LSTM(2, 2, 2, dropout=0.1), r"LSTM \(3\) changes the loss at random"),
        (Noise(), "'loss' differ between two evaluations .*random numbers"),
        (Shifted(), "'loss' differ between two evaluations .*buffers of the model: '3.seen'"),
        (Wrapped(nn.Linear(2, 2), lambda layer, x: layer(x.flip(0)).flip(0)), "shuffled rows"),
        (nn.Embedding(2, 2, max_norm=1.0), r"Embedding \(3\) has the option max_norm"),
        (nn.Embedding(2, 2, sparse=True), r"Embedding \(3\) has the option sparse"),
        (nn.Embedding(2, 2, scale_grad_by_freq=True), "the option scale_grad_by_freq"),
        (nn.Linear(2, 2, dtype=torch.complex128), "needs real parameters .*torch.complex128"),
    ]


@pytest.mark.parametrize(("last", "message"), refused())
def test_what_cannot_be_differentiated_is_refused_with_the_reason(
    last: nn.Module, message: str
) -> None:
    model = net()
    model.append(last if any(p.is_complex() for p in last.parameters()) else last.double())
    before = vector(model)
    with pytest.raises((TrainingError, LossContractError), match=message):
        step(model, [rows()])
    assert torch.equal(vector(model), before)


class Constant(torch.autograd.Function):
    """Has a gradient that a second one takes for a constant."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0] * ctx.saved_tensors[0].cos()


def test_conjugate_gradients_need_second_derivatives() -> None:
    model = net(Wrapped(nn.Identity(), lambda module, x: Constant.apply(x)))
    assert step(model, [rows()])[1]
    with pytest.raises(TrainingError, match=r'no second derivatives.*solver="cholesky"'):
        step(model, [rows()], solver="cg")


def test_a_refused_problem_is_checked_again() -> None:
    model = net(Shifted())
    stepper = LeastSquaresStepper(model, GaussNewton(model.parameters()), mse)
    for _ in range(2):
        with pytest.raises(LossContractError, match="differ between two evaluations"):
            stepper.take([rows()])


def test_weights_below_0_are_refused_by_the_name_of_their_weighting() -> None:
    class Opposed(Weighting):
        def target(self, terms: Any, grads: Any) -> list[float]:
            return [-1.0 if self.memory.get("seen") else 1.0 for _ in terms]

        def update(self, terms: Any, grads: Any) -> dict[str, Tensor]:
            found = super().update(terms, grads)
            self.memory["seen"] = True
            return found

    model, loss_fn = oscillator(), WeightedLoss("mse", Opposed(every=1))
    stepper = LeastSquaresStepper(model, GaussNewton(model.parameters()), loss_fn)
    assert stepper.take([times(9, 1)])[1]
    with pytest.raises(LossContractError, match="Opposed has chosen the weight -1 for 'ode'"):
        stepper.take([times(9, 1)])


@pytest.mark.parametrize("name", ["ntk", "gradnorm", "grad_norm_balance", "relobralo"])
def test_the_gradient_is_that_of_the_weighted_loss(name: str) -> None:
    model, batch, loss_fn = oscillator(), times(9, 2), WeightedLoss("mse", {"name": name})
    stepper = LeastSquaresStepper(model, GaussNewton(model.parameters()), loss_fn)
    stepper.measures_norm = True
    for _ in range(2):
        before = copy.deepcopy(model)
        ((result,), _) = stepper.take([batch])
        assert result is not None
        terms = {n: r.square().mean() for n, r in before(batch).items()}
        weighted = [result[1].get(f"weight_{n}", 1.0) * term for n, term in terms.items()]
        torch.stack(weighted).sum().backward()
        expected = torch.cat([p.grad.flatten() for p in before.parameters()]).norm()
        torch.testing.assert_close(stepper.grad_norm, expected)


def test_frozen_layers() -> None:
    model = net().requires_grad_(False)
    with pytest.raises(TrainingError, match="all are frozen"):
        step(model, [rows()])


@pytest.mark.parametrize("name", ["l1", "huber", "relative_l2"])
def test_losses_that_are_no_sums_of_squares_are_refused(name: str) -> None:
    with pytest.raises(LossContractError, match="needs a loss that is a sum of squares"):
        step(net(), [rows()], get_loss(name))


def test_a_warning_asks_for_float64() -> None:
    x, y = rows()
    with pytest.warns(UserWarning, match=r"float32.*dtype=\"float64\""):
        step(net().float(), [(x.float(), y.float())])


def test_a_gradient_that_is_not_finite_stops_the_step() -> None:
    """The square of sqrt(|out|) at 0, where sqrt has no derivative."""
    model = net()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    loss_fn = OwnLoss(
        lambda batch, model: {"root": (model(batch[0]).abs().sqrt(), 1.0)},
        lambda batch, model: model(batch[0]).abs().sqrt().square().sum(),
    )
    optimizer, before = GaussNewton(model.parameters()), vector(model)
    with pytest.raises(NonFiniteLossError, match="its gradient is not"):
        LeastSquaresStepper(model, optimizer, loss_fn).take([rows()])
    stepper = LeastSquaresStepper(model, optimizer, loss_fn, skip_nonfinite=True)
    assert stepper.take([rows()]) == ([None], False)
    assert torch.equal(before, vector(model))


def test_the_norm_of_the_gradient() -> None:
    model, (x, y) = net(), rows()
    mse((x, y), model)[0].backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    optimizer = GaussNewton(model.parameters())
    stepper = LeastSquaresStepper(model, optimizer, mse, measures_norm=True)
    stepper.take([(x, y)])
    torch.testing.assert_close(stepper.grad_norm, expected)
