import copy
import math
import pickle

import pytest
import torch
from torch import nn
from torch.distributed import destroy_process_group, init_process_group
from torch.nn.parallel import DistributedDataParallel

from perceptrain_core.errors import ConfigError, DataError
from perceptrain_core.models import FFNN, PINN


class Sine(nn.Module):
    """u(t) = a sin(w t): the exact solution of u'' = -w^2 u."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, t):
        return self.a * torch.sin(3 * t)


def derivative(u, t):
    return torch.autograd.grad(u.sum(), t, create_graph=True)[0]


def first(t, network):
    return derivative(network(t), t)


def second(t, network):
    return derivative(first(t, network), t)


def start(t, network):
    return network(t) - 1


@pytest.fixture
def batch():
    t = torch.linspace(0, 1, 5, dtype=torch.float64).unsqueeze(-1)
    return {"first": t, "second": t.clone(), "start": t[:1].clone()}


@pytest.fixture
def model():
    return PINN(Sine(), {"first": first, "second": second, "start": start})


def check_closed_form(residuals, t):
    torch.testing.assert_close(residuals["first"], 6 * torch.cos(3 * t))
    torch.testing.assert_close(residuals["second"], -18 * torch.sin(3 * t))
    torch.testing.assert_close(residuals["start"], torch.full((1, 1), -1.0, dtype=t.dtype))


def test_residuals_have_their_closed_form_and_reach_the_parameters(model, batch):
    residuals = model(batch)
    check_closed_form({name: r.detach() for name, r in residuals.items()}, batch["first"])
    (gradient,) = torch.autograd.grad(residuals["second"].sum(), list(model.parameters()))
    torch.testing.assert_close(gradient, -9 * torch.sin(3 * batch["first"]).sum())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off_and_keeps_no_graph(model, batch, context):
    model.eval()
    with context():
        residuals = model(batch)
        assert not torch.is_grad_enabled()
    check_closed_form(residuals, batch["first"])
    assert not any(r.requires_grad or r.is_inference() for r in residuals.values())


def test_points_made_in_inference_mode(model, batch):
    with torch.inference_mode():
        made = {name: value * 1 for name, value in batch.items()}
        check_closed_form(model(made), batch["first"])


def test_the_points_given_are_not_changed(model, batch):
    before = {name: value.clone() for name, value in batch.items()}
    model(batch)["second"].sum().backward()
    for name, value in batch.items():
        assert not value.requires_grad
        assert value.grad is None
        torch.testing.assert_close(value, before[name])


def test_points_that_are_trained_keep_their_graph(batch):
    t = batch["first"].requires_grad_()
    PINN(Sine(), {"first": first})({"first": t})["first"].sum().backward()
    torch.testing.assert_close(t.grad, -18 * torch.sin(3 * t.detach()))


@pytest.mark.parametrize("wrap", [lambda t: (t,), lambda t: [t]])
def test_a_value_of_one_tensor_is_unwrapped(model, batch, wrap):
    residuals = model({name: wrap(value) for name, value in batch.items()})
    check_closed_form({name: r.detach() for name, r in residuals.items()}, batch["first"])


def test_an_equation_with_parameters_is_trained():
    class Oscillator(nn.Module):
        def __init__(self):
            super().__init__()
            self.stiffness = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

        def forward(self, t, network):
            return second(t, network) + self.stiffness * network(t)

    model = PINN(Sine(), {"ode": Oscillator()})
    assert len(list(model.parameters())) == 2
    model.nn.a.requires_grad_(False)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=20)
    t = torch.linspace(0.1, 1, 9, dtype=torch.float64).unsqueeze(-1)

    def closure():
        optimizer.zero_grad()
        loss = model({"ode": t})["ode"].square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    copied = copy.deepcopy(model)
    assert math.isclose(copied.equations["ode"].stiffness.item(), 9, rel_tol=1e-6)
    assert copied.equations["ode"] is copied.equation_modules[0]


def test_it_pickles_and_names_its_equations(model, batch):
    other = pickle.loads(pickle.dumps(model))
    torch.testing.assert_close(other(batch), model(batch))
    assert "equations: first, second, start" in repr(model)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # dynamo looks at it while it traces
def test_it_works_compiled_and_under_ddp(model, batch, tmp_path):
    expected = {name: r.detach() for name, r in model(batch).items()}
    compiled = torch.compile(model, backend="eager")(batch)
    torch.testing.assert_close({name: r.detach() for name, r in compiled.items()}, expected)
    init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(model)
        wrapped(batch)["second"].sum().backward()
        assert model.nn.a.grad is not None
        with torch.no_grad():
            torch.testing.assert_close(wrapped(batch), expected)
    finally:
        # Before the group: the last reference to it must not be dropped by the wrapper, which would
        # join the group's threads while it holds the interpreter's lock.
        del wrapped
        destroy_process_group()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: {"first": b["first"]}, r"Missing: 'second', 'start'\.$"),
        (lambda b: {**b, "bc": b["start"]}, r"Not known: 'bc'\.$"),
        (lambda b: (b["first"], b["start"]), r"a tuple of 2 elements; expected a dict .*'first'"),
        (lambda b: b["first"], r"a tensor .*; expected a dict.*model\.nn\(x\)"),
        (lambda b: {**b, "start": (b["start"], b["start"])}, "'start' are a tuple of 2 elements"),
        (lambda b: {**b, "start": torch.zeros(1, 1).long()}, r"'start' are .*int64; .* of floats"),
    ],
)
def test_batches_that_do_not_fit(model, batch, change, message):
    with pytest.raises(DataError, match=message):
        model(change(batch))


def test_an_equation_that_forgets_to_unpack_the_gradient(batch):
    model = PINN(
        Sine(), {"first": lambda t, u: torch.autograd.grad(u(t).sum(), t, create_graph=True)}
    )
    with pytest.raises(DataError, match=r"'first' returned a tuple of 1 element; .*first element"):
        model({"first": batch["first"]})


@pytest.mark.parametrize(
    ("network", "equations", "message"),
    [
        (3, {"a": start}, "nn=3: expected a network"),
        (FFNN([1, 1]), {}, "expected a dict with a function"),
        (FFNN([1, 1]), [start], "expected a dict with a function"),
        (FFNN([1, 1]), {"a": 3}, "The equation 'a' is 3; expected a function"),
        (FFNN([1, 1]), {"a": lambda x: x}, "which cannot be called with two arguments; expected"),
    ],
)
def test_what_cannot_be_a_pinn(network, equations, message):
    with pytest.raises(ConfigError, match=message):
        PINN(network, equations)


def test_equations_by_reference(tmp_path):
    file = tmp_path / "equations.py"
    file.write_text("def start(t, network):\n    return network(t) - 2\n")
    model = PINN(Sine(), {"start": f"{file}:start"})
    t = torch.zeros(1, 1, dtype=torch.float64)
    assert model({"start": t})["start"].item() == -2


def test_a_network_by_name():
    model = PINN({"name": "ffnn", "layers": [1, 3, 1]}, {"start": start})
    assert model.nn.layers == (1, 3, 1)


@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad])
def test_terms_that_broadcast_are_reported(context):
    def broadcast(t, network):
        return network(t) - t[:, 0]

    model = PINN(FFNN([1, 4, 1]), {"ode": broadcast})
    with context(), pytest.warns(UserWarning, match=r"'ode' .*\(6, 6\) for 6 points.*unsqueeze"):
        assert model({"ode": torch.rand(6, 1)})["ode"].shape == (6, 6)
    assert model({"ode": torch.rand(1, 1)})["ode"].shape == (1, 1)  # the same at a single point


@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_several_residuals_at_each_point(outputs):
    model = PINN(FFNN([2, outputs]), {"system": lambda x, network: network(x)})
    assert model({"system": torch.rand(4, 2)})["system"].shape == (4, outputs)
