import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.losses import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from perceptrain_core.models import FFNN, PINN

IDENTITY = nn.Identity()
RESIDUALS = {"pde": torch.tensor([[1.0], [3.0]]), "bc": torch.tensor([2.0])}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 99))
def test_mse_is_what_numpy_says(shape, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=shape), rng.normal(size=shape)
    loss, metrics = mse_loss((torch.from_numpy(x), torch.from_numpy(y)), IDENTITY)
    np.testing.assert_allclose(loss.numpy(), np.mean((x - y) ** 2))
    assert metrics == {}


@pytest.mark.parametrize(
    ("loss_fn", "options", "pde", "bc"),
    [
        (mse_loss, {}, 5.0, 4.0),
        (mse_loss, {"reduction": "sum"}, 10.0, 4.0),
        (l1_loss, {}, 2.0, 2.0),
        (smooth_l1_loss, {"beta": 2.0}, (0.25 + 2.0) / 2, 1.0),
        (huber_loss, {"delta": 2.0}, (0.5 + 4.0) / 2, 2.0),
    ],
)
def test_residuals_are_compared_with_zero(loss_fn, options, pde, bc):
    loss, terms = loss_fn(RESIDUALS, IDENTITY, **options)
    assert loss.item() == pytest.approx(pde + bc)
    assert {name: term.item() for name, term in terms.items()} == {
        "pde": pytest.approx(pde),
        "bc": pytest.approx(bc),
    }


def test_what_the_model_returned_decides():
    pinn = PINN(FFNN([1, 3, 1]), {"bc": lambda x, u: u(x)})

    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, *args):
            return self.module(*args)

    batch = {"bc": torch.ones(2, 1)}
    loss, terms = mse_loss(batch, Wrapper(pinn))
    expected, _ = mse_loss(batch, pinn)
    torch.testing.assert_close(loss, expected)
    assert terms["bc"].requires_grad
    with torch.no_grad():
        assert not mse_loss(batch, Wrapper(pinn))[1]["bc"].requires_grad
    # The same from (inputs, None), and tensors from a model that takes a dict.
    torch.testing.assert_close(mse_loss((batch, None), pinn)[0], expected)


def test_several_outputs_meet_labels_by_name():
    labels = {"bc": torch.tensor([1.0]), "pde": torch.ones(2, 1)}
    loss, terms = mse_loss((RESIDUALS, labels), IDENTITY)
    assert {name: term.item() for name, term in terms.items()} == {"pde": 2.0, "bc": 1.0}
    assert loss.item() == 3.0


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ((RESIDUALS, torch.ones(2)), DataError, "Residuals need no labels"),
        ((RESIDUALS, {"pde": torch.ones(2, 1)}), DataError, "the same keys in both"),
        (
            (RESIDUALS, {"pde": torch.ones(2), "bc": torch.ones(1)}),
            ShapeError,
            r"^Output 'pde': .*\(2, 1\) and the labels have shape \(2,\)",
        ),
        ({"pde": torch.ones(0, 1)}, DataError, "^Output 'pde': .*empty batches"),
        ((RESIDUALS, RESIDUALS, torch.ones(2)), DataError, "for a model that returns one tensor"),
        ({"pde": 1.0}, DataError, "'pde' of the model is 1.0; expected a tensor"),
        ({}, DataError, "an empty dict"),
        ((None, None), DataError, "The model returned None; expected a tensor"),
        ((RESIDUALS["bc"],), DataError, r"tuple of 1 element; .*to_dataloader\(inputs, labels"),
        ((1, 2, 3, 4), DataError, r"tuple of 4 elements; .*\(\(input_1, input_2\), labels\)"),
    ],
)
def test_what_does_not_fit(batch, error, message):
    with pytest.raises(error, match=message):
        mse_loss(batch, IDENTITY)


def test_a_dict_batch_for_another_model():
    with pytest.raises(TypeError) as caught:
        mse_loss({"pde": torch.ones(2, 1)}, nn.Linear(1, 1))
    assert "a dict batch is for a PINN" in caught.value.__notes__[0]
    with pytest.raises(DataError, match="A dict of points is for a PINN"):
        mse_loss({"pde": torch.ones(2, 1)}, FFNN([1, 1]))
    with pytest.raises(DataError, match="labels are None"):
        mse_loss({"x": torch.ones(2, 1)}, lambda batch: batch["x"])
