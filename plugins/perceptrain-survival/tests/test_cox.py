"""Cox's loss, against loops by hand, SciPy, torchsurv and scikit-survival."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, get_loss
from perceptrain.errors import DataError
from perceptrain_survival import BreslowBaseline, CoxLoss, gbsg2, survival_labels

TIES = ["efron", "breslow"]
Array = NDArray[np.float64]


def partial_likelihood(risk: Array, event: Array, time: Array, ties: str) -> float:
    """Return minus the logarithm of Cox's partial likelihood."""
    total = 0.0
    for t in np.unique(time[event == 1]):
        tied = (time == t) & (event == 1)
        at_risk, of_tied = np.exp(risk[time >= t]).sum(), np.exp(risk[tied]).sum()
        for k in range(tied.sum()):
            part = k / tied.sum() if ties == "efron" else 0.0
            total += np.log(at_risk - part * of_tied)
        total -= risk[tied].sum()
    return total


def rows(number: int, times: int | None = None, size: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Random inputs, events and times, float64; with ``times``, many are equal."""
    time = torch.rand(number, dtype=torch.float64) * (times or 1)
    time = time if times is None else time.ceil()
    return torch.randn(number, size, dtype=torch.float64), torch.rand(number) < 0.6, time


def loss_of(risk: Tensor, event: Tensor, time: Tensor, **options: Any) -> Tensor:
    loss, _ = CoxLoss(**options)((risk, survival_labels(event, time)), nn.Identity())
    return loss


def fit(x: Tensor, labels: Tensor, ties: str) -> Tensor:
    """Return the weights of a linear model, trained to the minimum."""
    model = nn.Linear(x.shape[1], 1, bias=False, dtype=torch.float64)
    nn.init.zeros_(model.weight)
    config = TrainConfig(max_iter=30, verbose=False, tracking_tool="none")
    optimizer = {"name": "lbfgs", "line_search_fn": "strong_wolfe", "tolerance_change": 0.0}
    Trainer(model, optimizer, config, get_loss("cox", ties=ties)).fit([(x, labels)])
    return model.weight.detach()[0]


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_the_likelihood_by_hand(data: st.DataObject) -> None:
    number = data.draw(st.integers(1, 12))
    numbers = st.lists(st.integers(0, 3), min_size=number, max_size=number)
    time, event = torch.tensor(data.draw(numbers)).double(), torch.tensor(data.draw(numbers)) > 1
    risk = torch.tensor(data.draw(numbers)).double() * 2 - 3
    for ties in TIES:
        truth = partial_likelihood(risk.numpy(), event.numpy(), time.numpy(), ties)
        found = loss_of(risk, event, time, ties=ties, reduction="sum").item()
        assert found == pytest.approx(truth, rel=1e-12, abs=1e-12)
        mean = loss_of(risk, event, time, ties=ties).item()
        assert mean == pytest.approx(truth / max(1, int(event.sum())), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("ties", TIES)
def test_the_gradient_of_differences(ties: str) -> None:
    x, event, time = rows(9, 4, 1)
    risk = x[:, 0].requires_grad_()
    assert torch.autograd.gradcheck(lambda r: loss_of(r, event, time, ties=ties), risk)


def test_the_gradient_at_zero_is_that_by_hand() -> None:
    """It is the mean of the rows at risk minus the row of the event."""
    x, event, time = rows(50)
    weight = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(loss_of(x @ weight, event, time), weight)
    steps = [x[time >= time[i]].mean(0) - x[i] for i in event.nonzero()[:, 0]]
    torch.testing.assert_close(found, torch.stack(steps).mean(0))


@pytest.mark.parametrize("ties", TIES)
def test_a_linear_model_is_that_of_another_optimizer(ties: str) -> None:
    x, event, time = rows(80, 12)
    inputs, happened, times = x.numpy(), event.numpy(), time.numpy()
    truth = minimize(
        lambda w: partial_likelihood(inputs @ w, happened, times, ties),
        np.zeros(3),
        method="BFGS",
        options={"gtol": 1e-7},
    )
    found = fit(x, survival_labels(event, time), ties)
    np.testing.assert_allclose(found, truth.x, atol=1e-6)


@pytest.mark.parametrize("ties", TIES)
def test_real_patients_as_in_scikit_survival(ties: str) -> None:
    """Weights and survival curves."""
    x, labels = gbsg2()
    x = ((x - x.mean(0)) / x.std(0)).double()
    known = Surv.from_arrays(labels[:, 0].bool().numpy(), labels[:, 1].double().numpy())
    other = CoxPHSurvivalAnalysis(ties=ties, tol=1e-12).fit(x.numpy(), known)
    weight = fit(x, labels, ties)
    np.testing.assert_allclose(weight, other.coef_, atol=1e-6)
    risk = (x @ weight).unsqueeze(1)
    times = torch.tensor([0.1, 1, 3, 6], dtype=torch.float64)
    curves = CoxLoss().survival(risk[:5], times, BreslowBaseline.fit(risk, labels))
    truth = [function(times.numpy()) for function in other.predict_survival_function(x[:5].numpy())]
    np.testing.assert_allclose(curves, np.stack(truth), atol=1e-6)


@pytest.mark.parametrize("ties", TIES)
def test_as_in_torchsurv(ties: str) -> None:
    with warnings.catch_warnings():  # torch.jit.script is deprecated, and ties are warned of
        warnings.simplefilter("ignore")
        from torchsurv.loss.cox import neg_partial_log_likelihood

        for times in (None, 6):
            x, event, time = rows(30, times)
            options: dict[str, Any] = {"ties_method": ties, "reduction": "sum"}
            truth = neg_partial_log_likelihood(x[:, 0].float(), event, time.float(), **options)
            found = loss_of(x[:, 0], event, time, ties=ties, reduction="sum")
            torch.testing.assert_close(found.float(), truth)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_outputs_do_not_overflow(ties: str, dtype: torch.dtype) -> None:
    risk = torch.tensor([1000, 0, -1000, 2], dtype=dtype, requires_grad=True)
    event, time = torch.tensor([1, 1, 1, 0]), torch.tensor([1.0, 1, 2, 3])
    loss = loss_of(risk, event, time, ties=ties, reduction="sum")
    halved = float(np.log(2)) if ties == "efron" else 0.0  # the first two, then the third and last
    assert loss.dtype is dtype
    assert loss.item() == pytest.approx(1000 - halved + 1002, rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, risk)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("number", [1, 5])
def test_without_an_event_the_loss_is_zero(ties: str, number: int) -> None:
    x, _, time = rows(number, 2)
    model = nn.Linear(3, 1).double()
    batch = x, survival_labels(torch.zeros(number), time)
    loss, metrics = get_loss("cox", ties=ties)(batch, model)
    assert loss.item() == 0
    assert metrics.count == 0
    loss.backward()
    assert all((p.grad == 0).all() for p in model.parameters())


def test_batches_without_events_change_no_mean_and_no_training() -> None:
    x, event, time = rows(12)
    full = x, survival_labels(event, time)
    none = x, survival_labels(event & False, time)
    config = TrainConfig(max_iter=2, verbose=False, tracking_tool="none", shuffle=False)
    trainer = Trainer(nn.Linear(3, 1).double(), {"name": "sgd", "lr": 0.1}, config, "cox")
    assert trainer.validate([full, none]) == pytest.approx(trainer.validate([full]))
    before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    with pytest.raises(DataError, match="nothing counted"):
        trainer.fit([none])
    assert all(map(torch.equal, before, trainer.model.parameters()))
    trainer.fit([full, none])
    assert np.isfinite(trainer.history[-1]["train_loss"])


def test_one_row_and_all_at_one_time() -> None:
    one = torch.ones(1, dtype=torch.float64)
    assert loss_of(3 * one, one, one).item() == 0
    equal = torch.zeros(4, dtype=torch.float64)
    event = torch.ones(4)
    breslow = loss_of(equal, event, equal + 2, ties="breslow").item()
    assert breslow == pytest.approx(np.log(4))
    assert loss_of(equal, event, equal + 2).item() == pytest.approx(np.log(24) / 4)


@pytest.mark.parametrize("ties", TIES)
def test_strata_are_compared_by_themselves(ties: str) -> None:
    x, event, time = rows(20, 5)
    number = torch.arange(20) % 3
    options: dict[str, Any] = {"ties": ties, "reduction": "sum"}
    parts = [number == k for k in range(3)]
    truth = sum(loss_of(x[p, 0], event[p], time[p], **options) for p in parts)
    batch = {"inputs": x[:, 0], "event": event, "time": time, "strata": number}
    torch.testing.assert_close(CoxLoss(**options)(batch, nn.Identity())[0], truth)
    labels = torch.stack([event.double(), time, number.double()], 1)
    torch.testing.assert_close(CoxLoss(**options)((x[:, 0], labels), nn.Identity())[0], truth)


def test_strata_have_no_common_baseline() -> None:
    x, event, time = rows(6)
    labels = torch.stack([event.double(), time, torch.arange(6.0) % 2], 1)
    with pytest.raises(DataError, match=r"several strata.*labels\[rows, :2\]"):
        BreslowBaseline.fit(x[:, 0], labels)
    one = BreslowBaseline.fit(x[:, 0], labels * torch.tensor([1, 1, 0]))
    truth = BreslowBaseline.fit(x[:, 0], labels[:, :2])
    torch.testing.assert_close(one(time), truth(time))


def test_half_precision_is_computed_in_float32() -> None:
    x, event, time = rows(8)
    low = x[:, 0].bfloat16()
    found = loss_of(low, event, time)
    assert found.dtype is torch.float32
    torch.testing.assert_close(found, loss_of(low.float(), event, time))


@pytest.mark.parametrize("batch_size", [5, 20])
def test_data_without_any_event_are_reported(batch_size: int) -> None:
    inputs, time = torch.randn(20, 2), torch.rand(20) + 0.1
    config = TrainConfig(
        max_iter=2, batch_size=batch_size, verbose=False, tracking_tool="none", val_every=1
    )
    data = inputs, survival_labels(torch.zeros(20), time)
    trainer = Trainer(nn.Linear(2, 1), "adam", config, "cox")
    with pytest.raises(DataError, match=r"nothing counted .*; expected .* not all censored"):
        trainer.fit(data, data)
    trainer = Trainer(nn.Linear(2, 1), "adam", config, "cox")
    with pytest.warns(UserWarning, match="val_loss is NaN: nothing counted"):
        trainer.fit((inputs, survival_labels(torch.ones(20), time)), data)
    assert trainer.history[-1]["train_loss"] > 0
