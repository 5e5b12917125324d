import pytest
import torch
from torch import nn

from perceptrain_core.errors import ConfigError, LossContractError, TrainingError
from perceptrain_core.losses import GradWeightedLoss, mse_loss
from perceptrain_core.models import FFNN, PINN


class Two(nn.Module):
    """Two parameters, a vector and a matrix, so that each gradient is written by hand."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor([0.5], dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor([[0.25]], dtype=torch.float64))


def linear(batch, model):
    """grad pde = (6, 2), grad bc = (1, -2), grad ic = (0, 4); the batch scales them."""
    a, b = model.a.sum(), model.b.sum()
    terms = {"pde": 6 * a + 2 * b, "bc": a - 2 * b, "ic": 4 * b}
    terms = {name: batch * term for name, term in terms.items()}
    return sum(terms.values()), terms


def ratio_2500(batch, model):
    terms = {"pde": 2500 * model.a.sum(), "bc": model.a.sum() - model.b.sum()}
    return sum(terms.values()), terms


def weighted(**options):
    options = {"fixed_metric": "pde", "every": 1, **options}
    return GradWeightedLoss(unweighted_loss_function=linear, **options)


# Worked by hand: G = max(6, 2) = 6; mean |grad bc| = 1.5, ratio 4; mean |grad ic| = 2, ratio 3.
@pytest.mark.parametrize(
    ("options", "bc", "ic"),
    [
        ({}, [1.3, 0.9 * 1.3 + 0.4 / 1.3], [1.2, 0.9 * 1.2 + 0.3 / 1.2]),
        ({"alpha": 0.5}, [2.5, 1.25 + 2 / 2.5], [2.0, 1 + 1.5 / 2]),
        ({"denominator": "unweighted", "alpha": 0.9}, [3.7, 0.37 + 3.6], [2.8, 0.28 + 2.7]),
        ({"denominator": "unweighted"}, [1.3, 1.17 + 0.4], [1.2, 1.08 + 0.3]),
        ({"alpha": 0}, [1, 1], [1, 1]),
        ({"alpha": 1}, [4, 1], [3, 1]),
        pytest.param(
            {"denominator": "unweighted", "alpha": 1, "max_weight": 3.5},
            [3.5, 3.5],
            [3, 3],
            marks=pytest.mark.filterwarnings("ignore:The weight of bc is held at max_weight=3.5"),
        ),
        # Only the matrix: G = 2, mean |grad bc| = 2, mean |grad ic| = 4.
        ({"parameters": "matrices", "alpha": 1}, [1, 1], [0.5, 1]),
        ({"metric_weights": {"bc": 2.0}}, [2.0, 2.0], [1.2, 1.33]),
        # Two fixed terms: their sum has the gradient (7, 0), so G = 7.
        ({"fixed_metric": ["pde", "bc"], "alpha": 1}, None, [3.5, 1]),
    ],
)
def test_the_first_two_updates(options, bc, ic):
    loss_fn, model = weighted(**options), Two()
    for step in range(2):
        loss, metrics = loss_fn(1.0, model)
        _, terms = linear(1.0, model)
        expected = terms["pde"] + ic[step] * terms["ic"]
        expected = expected + (terms["bc"] if bc is None else bc[step] * terms["bc"])
        torch.testing.assert_close(loss, expected)
        assert metrics["weight_ic"].item() == pytest.approx(ic[step])
        if bc is not None:
            assert metrics["weight_bc"].item() == pytest.approx(bc[step])
        assert ("weight_bc" in metrics) == (bc is not None)
        assert "weight_pde" not in metrics
        for name, term in terms.items():  # unweighted and detached
            assert metrics[name].item() == term.item()
            assert not metrics[name].requires_grad


@pytest.mark.parametrize(
    ("denominator", "alpha", "settled"),
    [("unweighted", 0.9, 2500), ("unweighted", 0.1, 2500), ("weighted", 0.1, 50)],
)
def test_where_a_constant_ratio_of_2500_settles(denominator, alpha, settled):
    loss_fn = GradWeightedLoss(
        None, ratio_2500, None, None, "pde", alpha, denominator=denominator, every=1
    )
    model = Two()
    for _ in range(200):
        _, metrics = loss_fn(None, model)
    assert metrics["weight_bc"].item() == pytest.approx(settled, rel=1e-3)


def test_the_older_form_and_the_short_form():
    weights = {"bc": 3.0}
    older = GradWeightedLoss(None, linear, torch.optim.Adam, weights, "pde", 0.9)
    assert older.alpha == 0.9
    older(1.0, Two())
    assert weights == {"bc": 3.0}
    expected = {"pde": 1.0, "bc": 0.3 + 0.9 * 4 / 3, "ic": 0.1 + 0.9 * 3}
    assert older.metric_weights == pytest.approx(expected)
    assert GradWeightedLoss(None, linear, None, weights, "pde").alpha == 0.1
    assert GradWeightedLoss(fixed_metric="pde").loss_fn is mse_loss


def test_weights_change_every_so_many_steps_and_first_at_once():
    loss_fn, model = weighted(every=3), Two()
    seen = [loss_fn(1.0, model)[1]["weight_bc"].item() for _ in range(7)]
    second = 0.9 * 1.3 + 0.4 / 1.3
    assert seen[:6] == pytest.approx([1.3] * 3 + [second] * 3)
    assert seen[6] != seen[5]
    assert GradWeightedLoss(fixed_metric="pde").weighting.every == 1


def test_a_step_changes_the_weights_once():
    loss_fn, model = weighted(), Two()
    loss_fn.begin_step()
    seen = [loss_fn(1.0, model)[1]["weight_bc"].item() for _ in range(3)]
    assert seen == pytest.approx([1.3, 1.3, 1.3])
    loss_fn.begin_step()
    with torch.no_grad():
        assert loss_fn(1.0, model)[1]["weight_bc"].item() == pytest.approx(1.3)
    seen = [loss_fn(1.0, model)[1]["weight_bc"].item() for _ in range(2)]
    assert seen == pytest.approx([0.9 * 1.3 + 0.4 / 1.3] * 2)
    assert loss_fn.get_extra_state()["steps"] == 2


def test_a_state_that_was_saved_does_not_change_later():
    loss_fn, model = weighted(), Two()
    loss_fn(1.0, model)
    state = loss_fn.state_dict()
    loss_fn(1.0, model)
    assert state["_extra_state"]["weights"]["bc"].item() == pytest.approx(1.3)


def test_terms_without_gradient_or_with_a_bad_one_keep_their_weight():
    def loss(batch, model):
        a, b = model.a.sum(), model.b.sum()
        terms = {"pde": a, "flat": 0 * b, "nan": b * float("nan"), "inf": b * float("inf")}
        return sum(terms.values()), terms

    loss_fn = GradWeightedLoss(None, loss, None, {"flat": 3.0}, "pde", every=1)
    value, metrics = loss_fn(None, Two())
    assert value.isnan()
    assert [metrics[f"weight_{name}"].item() for name in ("flat", "nan", "inf")] == [3, 1, 1]


def test_a_bad_fixed_term_changes_no_weight():
    loss_fn, model = weighted(), Two()
    for bad in (float("nan"), float("inf")):
        loss, metrics = loss_fn(bad, model)
        assert not loss.isfinite()
        assert metrics["weight_bc"] == 1


def test_a_weight_of_zero_stays_finite():
    loss_fn = weighted(metric_weights={"bc": 0.0})
    assert loss_fn(1.0, Two())[1]["weight_bc"] == 0


def small_pinn(width, seed):
    torch.manual_seed(seed)

    def ode(t, u):
        (du,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
        return du + u(t)

    network = FFNN([1, width, 1]).double()
    model = PINN(network, {"ode": ode, "start": lambda t, u: u(t) - 1, "end": lambda t, u: u(t)})
    return model, {name: torch.rand(4, 1, dtype=torch.float64) for name in model.equations}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.LBFGS])
def test_it_trains(optimizer):
    model, batch = small_pinn(8, 0)
    batch = {"ode": torch.linspace(0, 1, 9, dtype=torch.float64).unsqueeze(-1)}
    batch |= {"start": batch["ode"][:1], "end": batch["ode"][:1]}
    model.equations["end"] = lambda t, u: u(t) - 1
    loss_fn = GradWeightedLoss(fixed_metric="ode")
    steps = optimizer(model.parameters(), lr=0.05)

    def closure():
        steps.zero_grad()
        loss, _ = loss_fn(batch, model)
        loss.backward()
        return loss

    for _ in range(60):
        loss_fn.begin_step()
        steps.step(closure)
    with torch.no_grad():
        error = model.nn(batch["ode"]) - torch.exp(-batch["ode"])
    assert error.abs().max() < 0.1
    assert loss_fn.get_extra_state()["steps"] == 60


def test_float32_and_parameters_of_the_loss_itself():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, batch, model):
            return linear(self.scale.sum() * batch, model)

    model = Two().float()
    loss_fn = GradWeightedLoss(None, Scaled(), None, {"bc": 1.0}, "pde", every=1)
    loss, metrics = loss_fn(1.0, model)
    loss.backward()
    assert loss.dtype is metrics["weight_bc"].dtype is torch.float32
    assert [name for name, _ in loss_fn.named_parameters()] == ["loss_fn.scale"]
    assert loss_fn.loss_fn.scale.grad is not None


def test_a_loss_by_name():
    assert GradWeightedLoss(None, "mse", fixed_metric="pde").loss_fn is mse_loss
    assert "fixed_metric=('pde',)" in repr(GradWeightedLoss(fixed_metric="pde"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fixed_metric": None}, "fixed_metric is missing"),
        ({"alpha": 1.5}, "alpha=1.5: expected a number of at least 0 and of at most 1"),
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"every": 0}, "every=0: expected a whole number of at least 1"),
        ({"max_weight": 0}, "max_weight=0: expected a number above 0"),
        ({"eps": -1}, "eps=-1"),
        ({"denominator": "both"}, "denominator='both': expected 'weighted' or"),
        ({"parameters": "some"}, "parameters='some'"),
        ({"metric_weights": {"bc": -1.0}}, "weight of 'bc'=-1.0: expected a number of at least 0"),
        ({"metric_weights": {"bc": float("nan")}}, "weight of 'bc'=nan"),
        ({"metric_weights": {"pde": 2.0}}, "weight of 'pde' is 2.0: expected 1"),
        ({"momentum": -1, "every": -1}, "every=-1.*; momentum=-1"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        weighted(**options)


def detached(batch, model):
    loss, terms = linear(batch, model)
    return loss, {name: term.detach() for name, term in terms.items()}


@pytest.mark.parametrize(
    ("loss_fn", "fixed", "error", "message"),
    [
        (linear, "pdee", ConfigError, "not in the loss: 'pdee'; expected .*: 'pde', 'bc', 'ic'"),
        (
            lambda b, m: (m.a.sum(), {}),
            "pde",
            LossContractError,
            "returned no metrics; expected its",
        ),
        (detached, "pde", LossContractError, "'pde' has no gradient; .* Do not detach"),
        (lambda b, m: m.a.sum(), "pde", LossContractError, r"expected \(loss, metrics\)"),
        (lambda b, m: (m.a.sum(), {"pde": 1.0}), "pde", LossContractError, "'pde' .* is 1.0"),
        (lambda b, m: (m.a, {"pde": m.a}), "pde", LossContractError, r"shape \(1,\).*0-dim"),
    ],
)
def test_losses_without_terms(loss_fn, fixed, error, message):
    with pytest.raises(error, match=message):
        GradWeightedLoss(None, loss_fn, fixed_metric=fixed)(1.0, Two())


@pytest.mark.parametrize(("kind", "frozen"), [("matrices", "weight"), ("all", "")])
def test_a_model_without_parameters_to_train(kind, frozen):
    model = nn.Linear(1, 1)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(frozen not in name)

    def loss(batch, model):
        term = model(batch).sum()
        return term, {"pde": term}

    loss_fn = GradWeightedLoss(None, loss, fixed_metric="pde", parameters=kind)
    with pytest.raises(
        TrainingError,
        match=r"Linear has no trainable parameter, so|No trainable parameter is a matrix, so",
    ):
        loss_fn(torch.ones(2, 1, requires_grad=True), model)


def test_a_bound_that_holds_says_so():
    loss_fn = weighted(denominator="unweighted", alpha=1, max_weight=3.5)
    with pytest.warns(UserWarning, match=r"weight of bc is held at max_weight=3\.5"):
        loss_fn(1.0, Two())
    loss_fn(1.0, Two())  # once is enough
