"""The Weibull and the hazard loss, against SciPy, loops by hand and torchsurv."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import weibull_min
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, get_loss
from perceptrain.errors import ConfigError, DataError
from perceptrain_survival import CoxLoss, HazardLoss, WeibullLoss, survival_labels, weibull_times

GRID = [0, 0.5, 1, 2.5]
LOSSES: dict[str, tuple[Any, int]] = {
    "weibull": (WeibullLoss(), 2),
    "exponential": (WeibullLoss(), 1),
    "hazard": (HazardLoss(grid=GRID), 4),
}


def integral_of_hazard(
    log_hazard: NDArray[np.float64], grid: NDArray[np.float64], at: float
) -> float:
    """Return the integral of a hazard that is linear between times, constant after the last."""
    ends = np.unique([*grid[grid < at], at])
    heights = np.interp(ends, grid, np.exp(log_hazard))
    areas = [
        (b - a) * (g + h) / 2
        for (a, b), (g, h) in zip(pairwise(ends), pairwise(heights), strict=True)
    ]
    return float(sum(areas))


def case(width: int, rows: int = 12) -> tuple[Tensor, Tensor]:
    outputs = torch.randn(rows, width, dtype=torch.float64) / 2
    event = torch.arange(rows) % 3 > 0
    return outputs, survival_labels(event, 3 * torch.rand(rows, dtype=torch.float64))


def value(loss: Any, outputs: Tensor, labels: Tensor) -> Tensor:
    return loss((outputs, labels), nn.Identity())[0]  # type: ignore[no-any-return]


def torchsurv(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.script is deprecated
        import torchsurv

    return getattr(torchsurv, name)


@pytest.mark.parametrize("width", [1, 2])
def test_weibull_as_in_scipy_and_torchsurv(width: int) -> None:
    outputs, labels = case(width)
    scale = outputs[:, 0].exp().numpy()
    shape = outputs[:, 1].exp().numpy() if width == 2 else 1.0
    event, time = labels.numpy().T
    known = weibull_min(shape, scale=scale)
    truth = -np.where(event == 1, known.logpdf(time), known.logsf(time))
    assert value(WeibullLoss(), outputs, labels).item() == pytest.approx(truth.mean(), rel=1e-12)
    found = value(WeibullLoss(reduction="sum"), outputs, labels)
    assert found.item() == pytest.approx(truth.sum(), rel=1e-12)
    other = torchsurv("neg_log_likelihood_weibull")
    single = other(outputs, labels[:, 0].bool(), labels[:, 1], reduction="sum")
    torch.testing.assert_close(found.float(), single, rtol=1e-4, atol=1e-4)
    curves = WeibullLoss().survival(outputs, torch.tensor([0.0, 1, 2]))
    rows = weibull_min(np.reshape(shape, (-1, 1)), scale=scale[:, None])
    np.testing.assert_allclose(curves, rows.sf([0, 1, 2]), rtol=1e-12)
    np.testing.assert_allclose(WeibullLoss().score(outputs), -np.log(known.median()), rtol=1e-9)


def test_hazard_by_hand() -> None:
    outputs, labels = case(4)
    loss, grid = HazardLoss(grid=GRID), np.array(GRID)
    logs, (event, time) = outputs.numpy(), labels.numpy().T
    cumulative = [integral_of_hazard(row, grid, t) for row, t in zip(logs, time, strict=True)]
    at_time = [np.interp(t, grid, np.exp(row)) for row, t in zip(logs, time, strict=True)]
    truth = np.array(cumulative) - event * np.log(at_time)
    assert (time > GRID[-1]).any()
    assert value(loss, outputs, labels).item() == pytest.approx(truth.mean(), rel=1e-12)
    curves = loss.survival(outputs, torch.tensor([0.0, 0.5, 2, 4]))
    expected = [[integral_of_hazard(row, grid, t) for t in (0, 0.5, 2, 4)] for row in logs]
    np.testing.assert_allclose(curves, np.exp(-np.array(expected)), rtol=1e-12)
    np.testing.assert_allclose(
        loss.score(outputs).exp(), [integral_of_hazard(row, grid, GRID[-1]) for row in logs]
    )


def test_hazard_at_times_of_the_grid_as_in_torchsurv() -> None:
    outputs, labels = case(4)
    labels[:, 1] = torch.tensor(GRID)[torch.arange(12) % 4]
    event, time = labels[:, 0].bool(), labels[:, 1].float()
    other = torchsurv("neg_log_likelihood")
    truth = other(outputs.float(), event, time, torch.tensor(GRID))
    torch.testing.assert_close(value(HazardLoss(grid=GRID), outputs, labels).float(), truth)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_differences(name: str) -> None:
    loss, width = LOSSES[name]
    outputs, labels = case(width, 6)
    assert torch.autograd.gradcheck(lambda o: value(loss, o, labels), outputs.requires_grad_())


@pytest.mark.parametrize("name", LOSSES)
def test_all_censored_some_at_time_zero(name: str) -> None:
    loss, width = LOSSES[name]
    outputs, labels = case(width)
    labels[:, 0], labels[:3, 1] = 0, 0
    outputs.requires_grad_()
    found = value(loss, outputs, labels)
    curves = torch.stack(
        [loss.survival(outputs, t.view(1))[i, 0] for i, t in enumerate(labels[:, 1])]
    )
    torch.testing.assert_close(found, -curves.log().mean())
    (gradient,) = torch.autograd.grad(found, outputs)
    assert gradient.isfinite().all()
    assert (gradient[3:, 0] != 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_float32_one_row_and_the_mean_of_batches(name: str) -> None:
    loss, width = LOSSES[name]
    outputs, labels = case(width)
    exact = value(loss, outputs, labels)
    single = value(loss, outputs.float(), labels.float())
    assert single.dtype is torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-5, atol=1e-5)
    each = [value(loss, outputs[k : k + 1], labels[k : k + 1]) for k in range(12)]
    torch.testing.assert_close(torch.stack(each).mean(), exact)
    config = TrainConfig(batch_size=5, verbose=False, tracking_tool="none")
    trainer = Trainer(nn.Linear(width, width).double(), None, config, loss)
    with torch.no_grad():
        truth = value(loss, trainer.model(outputs), labels).item()
    assert trainer.validate((outputs, labels))["val_loss"] == pytest.approx(truth, rel=1e-12)


def test_weibull_finds_the_parameters_of_the_data() -> None:
    inputs, labels = weibull_times(2000, features=2, shape=1.5)
    model = nn.Linear(2, 2).double()
    config = TrainConfig(max_iter=5, verbose=False, tracking_tool="none")
    Trainer(model, {"name": "lbfgs", "line_search_fn": "strong_wolfe"}, config, "weibull").fit(
        [(inputs.double(), labels)]
    )
    # scale^-shape = exp(x0 - x1 / 2), and the shape does not depend on the inputs
    truth = torch.tensor([[-1 / 1.5, 0.5 / 1.5], [0, 0]]).double()
    torch.testing.assert_close(model.weight.detach(), truth, atol=0.06, rtol=0)
    torch.testing.assert_close(
        model.bias.detach(), torch.tensor([0, np.log(1.5)]), atol=0.06, rtol=0
    )


def test_an_event_at_time_zero_has_no_weibull_likelihood() -> None:
    outputs, labels = case(2)
    labels[1, 1] = 0
    with pytest.raises(DataError, match="An event has the time 0"):
        value(WeibullLoss(), outputs, labels)


@pytest.mark.parametrize(
    "grid", [[0, 1], [1, 2, 3], [0, 2, 1], [0, 1, 1], "0, 1, 2", 3, [0, 1, True]]
)
def test_a_wrong_grid(grid: Any) -> None:
    with pytest.raises(ConfigError, match="three increasing times from 0"):
        get_loss("hazard", grid=grid)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_batch_without_rows_is_refused(reduction: str) -> None:
    losses = {
        CoxLoss(reduction=reduction): 1,
        WeibullLoss(reduction=reduction): 2,
        HazardLoss(grid=GRID, reduction=reduction): 4,
    }
    for loss, width in losses.items():
        outputs, labels = case(width)
        with pytest.raises(DataError, match=r"The batch has no rows.*Leave empty batches out"):
            loss((outputs[:0], labels[:0]), nn.Identity())
