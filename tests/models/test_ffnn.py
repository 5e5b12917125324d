import copy
import pickle
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perceptrain_core.data import to_dataloader
from perceptrain_core.errors import ConfigError, DataError, ShapeError
from perceptrain_core.models import FFNN, PINN, Model, num_parameters
from perceptrain_core.models.activations import ACTIVATIONS


def test_it_is_linear_layers_with_activations_between():
    model = FFNN([2, 5, 3], nn.Tanh())
    first, _, last = model.network
    x = torch.randn(7, 2)
    expected = torch.tanh(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(model(x), expected)
    assert isinstance(model, Model)
    assert (model.layers, model.input_size, model.output_size) == ((2, 5, 3), 2, 3)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5))
def test_sizes_and_parameters(layers):
    model = FFNN(layers, "relu")
    assert model(torch.zeros(4, layers[0])).shape == (4, layers[-1])
    expected = sum((a + 1) * b for a, b in pairwise(layers))
    assert num_parameters(model) == expected
    assert sum(isinstance(m, nn.ReLU) for m in model.network) == len(layers) - 2


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_by_name(name):
    model = FFNN(layers=(1, 2, 1), activation_function=name)
    assert type(model.activation_function) is ACTIVATIONS[name]
    assert model(torch.zeros(3, 1)).isfinite().all()


def test_an_instance_is_shared_and_a_class_is_not():
    activation = nn.PReLU()
    shared = FFNN([1, 2, 2, 1], activation)
    assert shared.network[1] is shared.network[3] is shared.activation_function is activation
    own = FFNN([1, 2, 2, 1], nn.PReLU)
    assert own.network[1] is not own.network[3]
    assert num_parameters(own) == num_parameters(shared) + 1
    assert FFNN([2, 1]).activation_function is None


def test_it_copies_pickles_and_compiles():
    model = FFNN([2, 4, 1]).double()
    x = torch.randn(3, 2, dtype=torch.float64)
    for other in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        torch.compile(model, backend="eager", fullgraph=True),
    ):
        torch.testing.assert_close(other(x), model(x))


@pytest.mark.parametrize(
    "layers", [[2], [], [2, 0, 1], [2, -1], [2, 1.5], [2, True], "21", 3, None]
)
def test_impossible_layers(layers):
    with pytest.raises(ConfigError, match="two or more positive integers"):
        FFNN(layers)


@pytest.mark.parametrize("activation", ["tanhh", nn.functional.relu, 3, int])
def test_impossible_activations(activation):
    with pytest.raises(ConfigError, match=r"expected an nn.Module .* tanh"):
        FFNN([1, 2, 1], activation)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ({"pde": torch.ones(2, 2)}, DataError, r"keys 'pde'; expected a tensor.*PINN\(nn=model"),
        ((torch.ones(2, 2), torch.ones(2, 1)), DataError, r"tuple of 2.*\(inputs, labels\)"),
        ([[1.0, 2.0]], DataError, "got a list"),
        (3.0, DataError, "numpy_to_tensor"),
        (torch.ones(4, 3), ShapeError, r"\(4, 3\); expected \(\.\.\., 2\).*\[2, 4, 1\]"),
        (torch.ones(4), ShapeError, "expected"),
        (torch.tensor(1.0), ShapeError, "expected"),
        (torch.ones(4, 2).double(), DataError, r"float64, and .*float32; .*x\.to\(torch\.float32"),
        (torch.ones(4, 2).long(), DataError, r"int64, and its parameters are torch.float32"),
    ],
)
def test_inputs_that_do_not_fit(x, error, message):
    with pytest.raises(error, match=message):
        FFNN([2, 4, 1])(x)


def test_one_input_suggests_a_column():
    with pytest.raises(ShapeError, match=r"x\.unsqueeze\(-1\)"):
        FFNN([1, 1])(torch.ones(4))


def test_other_errors_pass():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        FFNN([1, 2, 1], Broken())(torch.ones(1, 1))


def test_autocast_works():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert FFNN([2, 4, 1])(torch.ones(3, 2)).dtype is torch.bfloat16


def older(activation):
    """A network as the FFNN of perceptrain 0.1.0 names its parameters, and its state."""
    layers = nn.Sequential(
        nn.Linear(2, 4), activation, nn.Linear(4, 4), activation, nn.Linear(4, 1)
    )
    return layers, {f"nn.{name}": value for name, value in layers.state_dict().items()}


def test_older_weights_load_where_the_activation_is_named():
    layers, state = older(nn.GELU())
    model = FFNN([2, 4, 4, 1], "gelu")
    model.load_state_dict(state)
    x = torch.randn(3, 2)
    assert torch.equal(model(x), layers(x))
    assert "nn.0.weight" in state
    pinn = PINN(FFNN([2, 4, 4, 1], nn.GELU), {"pde": lambda x, u: u(x)})
    pinn.load_state_dict({f"nn.{name}": value for name, value in state.items()})
    assert torch.equal(pinn.nn(x), layers(x))


def test_older_weights_and_the_default_activation():
    layers, state = older(nn.Tanh())
    model = FFNN([2, 4, 4, 1])
    with pytest.warns(UserWarning, match="default activation is GELU; this network has tanh"):
        model.load_state_dict(state)
    x = torch.randn(3, 2)
    assert torch.equal(model(x), layers(x))


def test_older_weights_without_activations_between():
    layers, _ = older(nn.GELU())
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    state = {
        f"nn.{n}.{k}": v for n, each in enumerate(linear) for k, v in each.state_dict().items()
    }
    model = FFNN([2, 4, 4, 1], "gelu")
    model.load_state_dict(state)
    x = torch.randn(3, 2)
    assert torch.equal(model(x), layers(x))


def test_weights_that_do_not_fit_are_named():
    _, state = older(nn.GELU())
    with pytest.raises(RuntimeError, match=r"network\.4\.weight"):
        FFNN([2, 4, 1], "gelu").load_state_dict(state)


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_batch_of_a_loader_without_labels(kind):
    model, x = FFNN([2, 4, 1]), torch.randn(6, 2)
    (batch,) = to_dataloader(x, batch_size=6)
    assert torch.equal(model(kind(batch)), model(x))
