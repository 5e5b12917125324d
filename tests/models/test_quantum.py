import pytest
import torch
from torch import nn

from perceptrain_core.models import QNN, Model, QuantumModel


class Qubit(QNN):
    """<Z> after a rotation by x + theta: cos(x + theta)."""

    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def expectation(self, inputs):
        return torch.cos(inputs + self.theta)


def test_a_qnn_gives_its_expectation():
    x = torch.linspace(0, 1, 4, dtype=torch.float64).unsqueeze(-1)
    torch.testing.assert_close(Qubit()(x).detach(), torch.cos(x))
    assert isinstance(Qubit(), QuantumModel)
    assert isinstance(Qubit(), Model)


def test_forward_alone_is_enough():
    class Own(QNN):
        def forward(self, inputs):
            return inputs * 2

    assert Own()(torch.ones(1)).item() == 2


def test_what_is_missing_is_said():
    with pytest.raises(NotImplementedError, match="QNN has no expectation: implement"):
        QNN()(torch.ones(1))
