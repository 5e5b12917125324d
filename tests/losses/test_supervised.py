import copy
import functools
import pickle
from functools import partial
from math import nan
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.errors import ConfigError, DataError, LossContractError, ShapeError
from perceptrain_core.losses import mse_loss, supervised
from perceptrain_core.losses.supervised import as_loss
from perceptrain_core.models import FFNN
from perceptrain_core.value_checks import checking_values

IDENTITY = nn.Identity()
X, Y = torch.randn(5, 3), torch.randn(5, 3)
INDEX = torch.tensor([0, 1, 2, 1, 0])


@pytest.mark.parametrize(
    ("criterion", "labels"),
    [
        (nn.MSELoss(), Y),
        (nn.L1Loss(reduction="sum"), Y),
        (nn.HuberLoss(delta=0.2), Y),
        (nn.SoftMarginLoss(), Y.sign()),
        (nn.BCEWithLogitsLoss(pos_weight=torch.ones(3)), Y.sigmoid()),
        (nn.PoissonNLLLoss(), Y.abs()),
        (nn.CrossEntropyLoss(), INDEX),
        (nn.CrossEntropyLoss(), Y.softmax(1)),
        (nn.NLLLoss(), INDEX),
        (nn.MultiMarginLoss(), INDEX),
        (nn.MultiLabelSoftMarginLoss(), Y.sigmoid().round()),
        (F.mse_loss, Y),
        (functools.partial(F.huber_loss, delta=0.2), Y),
        (lambda outputs, labels: (outputs - labels).abs().max(), Y),
    ],
    ids=lambda value: None if isinstance(value, torch.Tensor) else str(value)[:20],
)
def test_it_is_the_criterion_of_the_outputs_and_labels(criterion, labels):
    model = FFNN([3, 4, 3])
    loss, metrics = supervised(criterion)((X, labels), model)
    torch.testing.assert_close(loss, criterion(model(X), labels))
    assert metrics == {}
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    ("criterion", "outputs", "labels", "expected"),
    [
        (
            nn.CosineEmbeddingLoss(),
            (X, Y),
            torch.ones(5),
            lambda: nn.CosineEmbeddingLoss()(X, Y, torch.ones(5)),
        ),
        (
            nn.MarginRankingLoss(),
            (X, Y),
            torch.ones(5, 3),
            lambda: nn.MarginRankingLoss()(X, Y, torch.ones(5, 3)),
        ),
        (nn.GaussianNLLLoss(), (X, Y.abs()), Y, lambda: nn.GaussianNLLLoss()(X, Y, Y.abs())),
    ],
)
def test_a_tuple_of_outputs_comes_before_the_labels(criterion, outputs, labels, expected):
    loss, _ = supervised(criterion)((outputs, labels), IDENTITY)
    torch.testing.assert_close(loss, expected())


@pytest.mark.parametrize("criterion", [nn.TripletMarginLoss(), F.triplet_margin_loss])
def test_a_triplet_has_no_labels(criterion):
    net = nn.Linear(3, 2)
    triplet = (X, Y, X + Y)

    class Embed(nn.Module):
        def forward(self, batch):
            return tuple(net(each) for each in batch)

    loss, _ = supervised(criterion)(triplet, Embed())
    torch.testing.assert_close(loss, criterion(*Embed()(triplet)))
    with pytest.raises(DataError, match=r"a triplet loss .*\(anchor, positive, negative\)"):
        supervised(criterion)(X, net)


def test_ctc():
    log_probs = torch.randn(6, 2, 4).log_softmax(-1)
    targets, short, long = torch.ones(2, 3).long(), torch.tensor([3, 2]), torch.tensor([6, 6])
    expected = nn.CTCLoss()(log_probs, targets, long, short)
    loss = supervised(nn.CTCLoss())
    torch.testing.assert_close(loss((log_probs, (targets, long, short)), IDENTITY)[0], expected)
    torch.testing.assert_close(loss(((log_probs, long), (targets, short)), IDENTITY)[0], expected)
    with pytest.raises(DataError, match="CTCLoss expects log_probs and labels"):
        loss((log_probs, targets), IDENTITY)


class Scaled(nn.Module):
    """A criterion with a parameter and a buffer."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("shift", torch.tensor(1.0))

    def forward(self, outputs, labels):
        return (self.scale * (outputs - labels) + self.shift).square().mean()


def test_the_state_of_a_criterion_is_its_own():
    loss_fn = supervised(Scaled())
    loss_fn((X, Y), IDENTITY)[0].backward()
    assert [name for name, _ in loss_fn.named_parameters()] == ["criterion.scale"]
    assert loss_fn.criterion.scale.grad is not None
    other = supervised(Scaled())
    other.load_state_dict({"criterion.scale": torch.tensor(5.0), "criterion.shift": torch.ones(())})
    assert other.criterion.scale.item() == 5
    assert loss_fn.double()((X.double(), Y.double()), IDENTITY)[0].dtype is torch.float64


@pytest.mark.parametrize(
    ("criterion", "text"),
    [(nn.MSELoss(), "supervised(MSELoss())"), (F.l1_loss, "supervised(l1_loss)")],
)
def test_repr_pickle_and_copy(criterion, text):
    loss_fn = supervised(criterion)
    assert repr(loss_fn) == text
    for other in (pickle.loads(pickle.dumps(loss_fn)), copy.deepcopy(loss_fn)):
        assert other((X, Y), IDENTITY)[0] == loss_fn((X, Y), IDENTITY)[0]


@pytest.mark.parametrize(
    ("criterion", "batch", "error", "message"),
    [
        (nn.MSELoss(), (torch.ones(5, 1), torch.ones(5)), ShapeError, r"\(5, 1\).*\(5,\)"),
        (F.l1_loss, (torch.ones(5, 1), torch.ones(5)), ShapeError, r"\(5, 1\).*\(5,\)"),
        (nn.MSELoss(), (X, Y.double()), DataError, "float32 and the labels are torch.float64"),
        (nn.CrossEntropyLoss(), (X, INDEX.float()), DataError, "probably cast"),
        (nn.BCELoss(), {"pde": X}, DataError, "dict batch is for a PINN"),
        (nn.BCELoss(), ({"pde": X}, Y), DataError, "For residuals use one of mse"),
        (nn.MSELoss(), ({"pde": X}, Y), DataError, "Residuals need no labels"),
        (Scaled(), ({"pde": X}, Y), TypeError, "unsupported operand"),
        (nn.GaussianNLLLoss(), (X, Y), DataError, r"expects a tuple \(mean, variance\)"),
        (nn.MSELoss(), ((X, X), Y), DataError, r"MSELoss takes \(input, target\), and got 3 arg"),
        (nn.CosineEmbeddingLoss(), (X, Y), DataError, r"takes \(input1, input2, target\).*got 2"),
    ],
)
def test_batches_and_outputs_that_do_not_fit(criterion, batch, error, message):
    with pytest.raises(error, match=message):
        supervised(criterion)(batch, IDENTITY)


def test_a_vector_is_no_loss():
    with pytest.raises(LossContractError, match=r'reduction="none", but a loss must be one number'):
        supervised(nn.MSELoss(reduction="none"))
    loss_fn = supervised(lambda outputs, labels: (outputs - labels).square())
    with pytest.raises(LossContractError, match=r"returned a tensor of shape \(5, 3\)"):
        loss_fn((X, Y), IDENTITY)


def test_as_loss():
    assert as_loss(mse_loss) is mse_loss
    loss_fn = supervised(nn.MSELoss())
    assert as_loss(loss_fn) is loss_fn
    assert repr(as_loss(nn.HuberLoss())) == "supervised(HuberLoss())"
    assert repr(as_loss(F.mse_loss)) == "supervised(mse_loss)"
    other = Scaled()
    assert as_loss(other) is other

    class Own(nn.MSELoss):
        def forward(self, batch, model):
            return super().forward(model(batch[0]), batch[1]), {}

    own = Own()
    assert as_loss(own) is own


@pytest.mark.parametrize(
    ("loss_fn", "message"),
    [
        (nn.MSELoss, r"pass nn\.MSELoss\(\), not nn\.MSELoss"),
        (123, r"The loss is 123; expected the name of .* loss_fn\(batch, model\)"),
        (None, "The loss is None"),
        (nn.L1Loss(reduction="none"), "a loss must be one number"),
    ],
)
def test_what_is_no_loss(loss_fn, message):
    with pytest.raises(LossContractError, match=message):
        as_loss(loss_fn)


@pytest.mark.parametrize(
    ("criterion", "message"), [(nn.MSELoss, r"pass nn\.MSELoss\(\)"), (3, "got 3; expected")]
)
def test_what_is_no_criterion(criterion, message):
    with pytest.raises(LossContractError, match=message):
        supervised(criterion)


@pytest.mark.parametrize(
    "criterion",
    [nn.MSELoss(), nn.HuberLoss(delta=0.5), nn.L1Loss(reduction="sum"), F.smooth_l1_loss],
)
def test_pointwise_criteria_compare_residuals_with_zero(criterion):
    residuals = {"pde": X, "start": Y[:2]}
    loss, terms = supervised(criterion)(residuals, IDENTITY)
    expected = {
        name: criterion(value, torch.zeros_like(value)) for name, value in residuals.items()
    }
    assert terms == expected
    assert loss == sum(expected.values())


def test_criteria_are_known_in_a_partial_and_compiled():
    partial = functools.partial(F.huber_loss, delta=2.0)
    compiled = torch.compile(nn.MSELoss(), backend="eager")
    for criterion, plain in ((partial, nn.HuberLoss(delta=2.0)), (compiled, nn.MSELoss())):
        loss, metrics = as_loss(criterion)((X, Y), IDENTITY)
        assert loss == plain(X, Y)
        assert metrics == {}
    with pytest.raises(ShapeError):
        as_loss(partial)((torch.ones(5, 1), torch.ones(5)), IDENTITY)


class _Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(2, 3)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return self.scores(inputs), self.scores(-inputs)


_LOG_SOFTMAX = nn.Sequential(nn.Linear(2, 3), nn.LogSoftmax(1))


@pytest.mark.parametrize(
    ("criterion", "model", "labels", "message"),
    [
        (nn.CosineEmbeddingLoss(), _Pair(), torch.tensor([0.0, 1.0]), "1 and -1"),
        (nn.MarginRankingLoss(), _Pair(), torch.eye(2, 3), "1 and -1"),
        (nn.HingeEmbeddingLoss(), nn.Linear(2, 3), torch.eye(2, 3), "1 and -1"),
        (nn.MultiLabelSoftMarginLoss(), nn.Linear(2, 3), 255 * torch.eye(2, 3), "Divide a mask"),
        (nn.KLDivLoss(), nn.Linear(2, 3), torch.eye(2, 3), "nn.LogSoftmax"),
        (nn.KLDivLoss(log_target=True), _LOG_SOFTMAX, torch.eye(2, 3), "Leave log_target out"),
        (partial(F.kl_div, log_target=False), _LOG_SOFTMAX, -torch.eye(2, 3), "log_target=True"),
    ],
)
def test_values_that_a_criterion_cannot_mean(
    criterion: Any, model: nn.Module, labels: Tensor, message: str
) -> None:
    torch.nn.init.ones_(next(model.parameters()))
    with checking_values(), pytest.raises(DataError, match=message):
        supervised(criterion)((torch.ones(2, 2), labels), model)


def test_values_that_are_rounded() -> None:
    """Half precision rounds each logarithm; interpolated masks may be a little above 1."""
    model = nn.Sequential(nn.Linear(2, 700), nn.LogSoftmax(1)).bfloat16()
    nn.init.zeros_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    inputs = torch.ones(2, 2, dtype=torch.bfloat16)
    with checking_values():
        supervised(nn.NLLLoss())((inputs, torch.tensor([3, 4])), model)
        supervised(nn.BCEWithLogitsLoss())(
            (torch.ones(2, 2), torch.full((2, 3), 1 + 1e-6)), nn.Linear(2, 3)
        )


NEGATIVE = torch.tensor([-1.0, 1.0])


@pytest.mark.parametrize(
    ("criterion", "labels", "message"),
    [
        (nn.CrossEntropyLoss(weight=NEGATIVE), torch.tensor([0, 1, 1]), "weight has the value -1"),
        (partial(F.cross_entropy, weight=NEGATIVE), torch.tensor([0, 1, 1]), "weight has the val"),
        (nn.CrossEntropyLoss(weight=NEGATIVE * nan), torch.tensor([0, 1, 1]), "weight has .* nan"),
        (
            nn.CrossEntropyLoss(label_smoothing=-0.5),
            torch.tensor([0, 1, 1]),
            "smoothing=-0.5",
        ),
        (nn.NLLLoss(weight=NEGATIVE), torch.tensor([0, 1, 1]), "weight has the value -1"),
        (nn.MultiMarginLoss(weight=NEGATIVE), torch.tensor([0, 1, 1]), "weight has the value -1"),
        (nn.BCEWithLogitsLoss(pos_weight=NEGATIVE), torch.ones(3, 2), "pos_weight has the value"),
        (nn.BCEWithLogitsLoss(weight=NEGATIVE), torch.ones(3, 2), "weight has the value -1"),
        (nn.MultiLabelSoftMarginLoss(weight=NEGATIVE), torch.ones(3, 2), "weight has the value"),
    ],
)
def test_options_out_of_their_domain(criterion: Any, labels: Tensor, message: str) -> None:
    loss_fn = supervised(criterion)
    with pytest.raises(ConfigError, match=message), checking_values():
        loss_fn((torch.randn(3, 2), labels), nn.Identity())
