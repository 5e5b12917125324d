"""Each built-in loss against torch's own criterion, on one grid."""

import copy
import inspect

import pytest
import torch
from torch import nn

from perceptrain_core import losses
from perceptrain_core.errors import ConfigError, DataError
from perceptrain_core.models import FFNN

N, D, C = 6, 3, 4


def labels_for(kind, dtype):
    generator = torch.Generator().manual_seed(7)
    if kind == "real":
        return torch.randn(N, D, dtype=dtype, generator=generator)
    if kind == "binary":
        return torch.randint(0, 2, (N, D), generator=generator).to(dtype)
    if kind == "sign":
        return torch.randint(0, 2, (N, D), generator=generator).to(dtype) * 2 - 1
    if kind == "count":
        return torch.randint(0, 9, (N, D), generator=generator).to(dtype)
    if kind == "probability":
        return torch.rand(N, D, dtype=dtype, generator=generator).softmax(1)
    return torch.randint(0, D, (N,), generator=generator)


WEIGHT = [0.5, 1.0, 2.0]

#: name, options, torch's criterion (without reduction), labels, what ends the model
GRID = [
    ("mse", {}, nn.MSELoss, {}, "real", nn.Identity()),
    ("l1", {}, nn.L1Loss, {}, "real", nn.Identity()),
    ("smooth_l1", {}, nn.SmoothL1Loss, {}, "real", nn.Identity()),
    ("smooth_l1", {"beta": 0.3}, nn.SmoothL1Loss, {"beta": 0.3}, "real", nn.Identity()),
    ("huber", {}, nn.HuberLoss, {}, "real", nn.Identity()),
    ("huber", {"delta": 0.3}, nn.HuberLoss, {"delta": 0.3}, "real", nn.Identity()),
    ("bce_with_logits", {}, nn.BCEWithLogitsLoss, {}, "binary", nn.Identity()),
    (
        "bce_with_logits",
        {"pos_weight": WEIGHT, "weight": WEIGHT},
        nn.BCEWithLogitsLoss,
        {"pos_weight": torch.tensor(WEIGHT), "weight": torch.tensor(WEIGHT)},
        "binary",
        nn.Identity(),
    ),
    ("soft_margin", {}, nn.SoftMarginLoss, {}, "sign", nn.Identity()),
    ("poisson_nll", {}, nn.PoissonNLLLoss, {}, "count", nn.Identity()),
    (
        "poisson_nll",
        {"log_input": False, "full": True, "eps": 1e-3},
        nn.PoissonNLLLoss,
        {"log_input": False, "full": True, "eps": 1e-3},
        "count",
        nn.Softplus(),
    ),
    ("kl_div", {}, nn.KLDivLoss, {}, "probability", nn.LogSoftmax(1)),
    ("cross_entropy", {}, nn.CrossEntropyLoss, {}, "class", nn.Identity()),
    ("cross_entropy", {}, nn.CrossEntropyLoss, {}, "probability", nn.Identity()),
    (
        "cross_entropy",
        {"weight": WEIGHT, "ignore_index": 1, "label_smoothing": 0.1},
        nn.CrossEntropyLoss,
        {"weight": torch.tensor(WEIGHT), "ignore_index": 1, "label_smoothing": 0.1},
        "class",
        nn.Identity(),
    ),
    ("nll", {}, nn.NLLLoss, {}, "class", nn.LogSoftmax(1)),
    (
        "nll",
        {"weight": torch.tensor(WEIGHT), "ignore_index": 2},
        nn.NLLLoss,
        {"weight": torch.tensor(WEIGHT), "ignore_index": 2},
        "class",
        nn.LogSoftmax(1),
    ),
    ("multi_margin", {}, nn.MultiMarginLoss, {}, "class", nn.Identity()),
    (
        "multi_margin",
        {"p": 2, "margin": 0.4, "weight": WEIGHT},
        nn.MultiMarginLoss,
        {"p": 2, "margin": 0.4, "weight": torch.tensor(WEIGHT)},
        "class",
        nn.Identity(),
    ),
]
IDS = [f"{row[0]}-{'-'.join(row[1]) or 'plain'}-{row[4]}" for row in GRID]


def loss_named(name):
    return getattr(losses, f"{name}_loss")


def setting(kind, end, dtype):
    torch.manual_seed(0)
    model = nn.Sequential(FFNN([2, 5, D]), end).to(dtype)
    return (torch.randn(N, 2, dtype=dtype), labels_for(kind, dtype)), model


@pytest.mark.filterwarnings("ignore:reduction:UserWarning")  # torch's, of its KLDivLoss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("name", "options", "criterion", "given", "kind", "end"), GRID, ids=IDS)
def test_value_and_gradients(name, options, criterion, given, kind, end, reduction, dtype):
    batch, model = setting(kind, end, dtype)
    twin = copy.deepcopy(model)
    before = [t.clone() for t in batch]
    loss, metrics = loss_named(name)(batch, model, **options, reduction=reduction)
    expected = criterion(**given, reduction=reduction).to(dtype)(twin(batch[0]), batch[1])
    loss.backward()
    expected.backward()
    assert metrics == {}
    assert loss.shape == ()
    assert loss.dtype is dtype
    torch.testing.assert_close(loss, expected)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)
    assert all(torch.equal(a, b) for a, b in zip(before, batch, strict=True))
    with torch.no_grad():
        again, _ = loss_named(name)(list(batch), model, **options, reduction=reduction)
    assert not again.requires_grad
    torch.testing.assert_close(again, expected.detach())


@pytest.mark.parametrize(("name", "options", "criterion", "given", "kind", "end"), GRID, ids=IDS)
def test_a_short_training_lowers_it(name, options, criterion, given, kind, end):
    batch, model = setting(kind, end, torch.float32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    first = loss_named(name)(batch, model, **options)[0].item()
    for _ in range(40):
        optimizer.zero_grad()
        loss, _ = loss_named(name)(batch, model, **options)
        loss.backward()
        optimizer.step()
    assert loss.item() < first


NAMES = sorted({name.removesuffix("_loss") for name in losses.__all__} - {"as", *losses.__all__})


def any_batch(name, rows=N):
    """A batch and a model that fit the loss."""
    x = torch.randn(rows, 2)
    classes = name in ("cross_entropy", "nll", "multi_margin")
    if name == "cosine_embedding":
        return (x, torch.ones(rows)), lambda inputs: (inputs, inputs + 1)
    if name == "gaussian_nll":
        return (x, torch.randn(rows, 1)), nn.Identity()
    return (x, torch.zeros(rows, dtype=torch.long) if classes else torch.ones(rows, 2)), FFNN(
        [2, 3, 2]
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_every_loss_refuses(name):
    loss_fn = loss_named(name)
    batch, model = any_batch(name)
    loss, _ = loss_fn(batch, model)
    assert loss.shape == ()
    with pytest.raises(ConfigError, match=r"A loss must be one number: .*expected 'mean'"):
        loss_fn(batch, model, reduction="none")
    with pytest.raises(ConfigError, match="reduction='meen'"):
        loss_fn(batch, model, reduction="meen")
    with pytest.raises(DataError, match="empty batches"):
        loss_fn(any_batch(name, rows=0)[0], model)
    with pytest.raises(DataError, match=r"a tensor .*; expected \(inputs, labels\)"):
        loss_fn(batch[0], model)
    with pytest.raises(DataError, match="labels are None; expected a tensor"):
        loss_fn((batch[0], None), model)


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_is_documented_and_takes_options_by_name_only(name):
    loss_fn = loss_named(name)
    parameters = list(inspect.signature(loss_fn).parameters.values())
    assert [p.name for p in parameters[:2]] == ["batch", "model"]
    for parameter in parameters[2:]:
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default is not parameter.empty
        assert f"        {parameter.name}: " in loss_fn.__doc__
    assert loss_fn.__module__ == f"perceptrain_core.losses.{name}"


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"mse", "l1", "smooth_l1", "huber"}))
def test_losses_that_need_labels_say_which_take_residuals(name):
    batch, _ = any_batch(name)
    message = "mse, l1, smooth_l1 and huber"
    with pytest.raises(DataError, match=f"dict batch is for a PINN.*{message}"):
        loss_named(name)({"pde": batch[0]}, lambda points: points)
    if name not in ("cosine_embedding", "gaussian_nll"):
        with pytest.raises(DataError, match=f"keys 'pde', as a PINN.*{message}"):
            loss_named(name)(batch, lambda inputs: {"pde": inputs})
        with pytest.raises(DataError, match="a tuple of 2 elements; this loss expects one tensor"):
            loss_named(name)(batch, lambda inputs: (inputs, inputs))


@pytest.mark.parametrize("name", ["mse", "huber", "bce_with_logits", "soft_margin", "relative_l2"])
def test_a_column_and_a_row_are_never_broadcast(name):
    x = torch.ones(5, 2)
    with pytest.raises(Exception, match=r"\(5, 1\) and the labels have shape \(5,\).*unsqueeze"):
        loss_named(name)((x, torch.ones(5)), FFNN([2, 1]))
    with pytest.raises(Exception, match=r"\(5, 2\) and the labels have shape \(5, 1\).*Reshape"):
        loss_named(name)((x, torch.ones(5, 1)), FFNN([2, 2]))
