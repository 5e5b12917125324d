import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perceptrain_core.errors import ConfigError
from perceptrain_core.losses import relative_l2_loss

IDENTITY = nn.Identity()


def test_closed_form():
    outputs, labels = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[0.0, 4.0], [0.0, 1.0]])
    whole, metrics = relative_l2_loss((outputs, labels), IDENTITY)
    assert whole.item() == pytest.approx((10 / 17) ** 0.5)
    assert metrics == {}
    each, _ = relative_l2_loss((outputs, labels), IDENTITY, per_sample=True)
    assert each.item() == pytest.approx((3 / 4 + 1) / 2)
    total, _ = relative_l2_loss((outputs, labels), IDENTITY, per_sample=True, reduction="sum")
    assert total.item() == pytest.approx(3 / 4 + 1)


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-3, 1e3), st.booleans(), st.integers(0, 99))
def test_scale_does_not_matter(scale, per_sample, seed):
    torch.manual_seed(seed)
    f, y = torch.randn(2, 5, 3, 2, dtype=torch.float64)
    loss, _ = relative_l2_loss((f, y), IDENTITY, per_sample=per_sample)
    scaled, _ = relative_l2_loss((scale * f, scale * y), IDENTITY, per_sample=per_sample)
    torch.testing.assert_close(loss, scaled)


@pytest.mark.parametrize("per_sample", [True, False])
def test_zeros_stay_finite(per_sample):
    zero = torch.zeros(3, 2)
    outputs = torch.zeros(3, 2, requires_grad=True)
    loss, _ = relative_l2_loss((outputs, zero), IDENTITY, per_sample=per_sample)
    loss.backward()
    assert loss.item() == 0
    assert outputs.grad.isfinite().all()


def test_eps_is_positive():
    with pytest.raises(ConfigError, match="eps=0: expected a small positive number"):
        relative_l2_loss((torch.ones(2), torch.ones(2)), IDENTITY, eps=0)
