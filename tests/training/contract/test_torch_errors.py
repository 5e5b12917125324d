"""Notes on errors that torch raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import FFNN, PINN, Trainer
from perceptrain_core.training.contract.torch_errors import explained_errors

MakeTrainer = Callable[..., Trainer]
X = torch.linspace(0, 1, 12).reshape(4, 3)
Y = torch.ones(4, 1)


def notes_of(act: Callable[[], Any], text: str) -> str:
    """Return the notes of an error that has a text of torch."""
    with pytest.raises(Exception, match=text) as caught:
        act()
    notes: list[str] = caught.value.__notes__
    assert len(set(notes)) == len(notes)
    return " ".join(notes)


LAYERS: dict[str, tuple[nn.Module, Tensor, str, str]] = {
    "linear": (
        nn.Sequential(nn.Linear(5, 2), nn.Linear(2, 1)),
        X,
        "cannot be multiplied",
        "the layer '0', Linear(in_features=5, out_features=2, bias=True), called with a tensor of "
        "shape (4, 3) and dtype torch.float32. It needs inputs of shape (..., 5): set "
        "in_features=3, or change the data.",
    ),
    "integers": (
        nn.Linear(3, 1),
        X.long(),
        "same dtype",
        "convert the inputs, x.to(torch.float32).",
    ),
    "inner dtype": (
        nn.Sequential(nn.Linear(3, 1), nn.Linear(1, 1).double()),
        X,
        "same dtype",
        "the layer '1'",
    ),
    "convolution": (
        nn.Conv2d(3, 1, 1),
        torch.ones(4, 2, 5, 5),
        "channels",
        "the model, Conv2d(3, 1, kernel_size=(1, 1), stride=(1, 1)), called with a tensor of shape "
        "(4, 2, 5, 5) and dtype torch.float32. It needs inputs of shape (N, 3, H, W).",
    ),
    "words": (nn.Embedding(5, 1), X, "indices", "It needs row numbers as inputs, integers"),
    "a new word": (
        nn.Embedding(5, 1),
        torch.tensor([[1], [7]]),
        "out of range",
        "Its inputs go from 1 to 7; expected 0 to 4",
    ),
}


@pytest.mark.parametrize("work", ["fit", "validate", "test", "predict"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_layer_is_named(make_trainer: MakeTrainer, name: str, work: str) -> None:
    model, inputs, text, expected = LAYERS[name]
    trainer = make_trainer(data=[(inputs, Y[: len(inputs)])], model=model)
    data = inputs if work == "predict" else [(inputs, Y[: len(inputs)])]
    notes = notes_of(lambda: getattr(trainer, work)(data), text)
    assert expected in notes
    if work in ("validate", "test"):
        data_of = {"validate": "validation", "test": "test"}[work]
        assert f"This happened on the {data_of} data." in notes


def test_labels_of_a_criterion_are_shown(make_trainer: MakeTrainer) -> None:
    def loss_fn(batch: Any, model: nn.Module) -> Any:
        return F.cross_entropy(model(batch[0]), batch[1]), {}

    def fit(labels: Tensor) -> Callable[[], Any]:
        return make_trainer(loss_fn, data=[(X, labels)], model=nn.Linear(3, 2)).fit

    notes = notes_of(fit(torch.tensor([0, 1, 1, 4])), "out of bounds")
    assert "cross_entropy was called with outputs, a tensor of shape (4, 2)" in notes
    assert "dtype torch.int64, from 0 to 4; expected labels from 0 to 1." in notes
    assert "convert them with labels.long()" in notes_of(fit(Y[:, 0]), "Long")


def test_a_criterion_of_two_outputs(make_trainer: MakeTrainer) -> None:
    def loss_fn(batch: Any, model: nn.Module) -> Any:
        return F.margin_ranking_loss(model(batch[0]), batch[1], torch.ones(3, 1)), {}

    notes = notes_of(make_trainer(loss_fn, data=[(X, Y)], model=nn.Linear(3, 1)).fit, "size")
    outputs = "a tensor of shape (4, 1) and dtype torch.float32"
    assert f"margin_ranking_loss was called with outputs, {outputs} and {outputs}, and" in notes


def test_values_outside_the_cpu_are_not_read() -> None:
    """Reading them after an assertion on a GPU would raise that again; "meta" has none."""
    labels = torch.ones(5, dtype=torch.int64, device="meta")
    model = nn.Embedding(5, 1, device="meta")

    def criterion() -> None:
        with explained_errors(model):
            F.cross_entropy(torch.ones(4, 2, device="meta"), labels)

    assert notes_of(criterion, "batch_size").endswith("(5,) and dtype torch.int64.")
    model.register_forward_hook(fails)
    with pytest.raises(RuntimeError, match="a hook") as caught, explained_errors(model):
        model(labels)
    assert caught.value.__notes__[0].endswith("It expects row numbers from 0 to 4.")


def test_the_error_passes_if_its_place_cannot_be_described() -> None:
    class Unprintable(nn.Linear):
        def extra_repr(self) -> str:
            raise KeyError("unknown")

    model = Unprintable(5, 2)
    with pytest.raises(RuntimeError, match="cannot be multiplied"), explained_errors(model):
        model(X)


def fails(*call: Any) -> None:
    raise RuntimeError("a hook fails")


def keeps_graph() -> nn.Module:
    class Recurrent(nn.Linear):
        state: Any = 0

        def forward(self, x: Tensor) -> Tensor:
            self.state = self.state + super().forward(x)
            return self.state

    return Recurrent(3, 1)


def in_place(batch: Any, model: nn.Module) -> Any:
    outputs = model(batch[0]).exp()
    loss = outputs.square().mean()
    outputs += 1
    return loss, {}


def test_errors_of_the_backward_pass(make_trainer: MakeTrainer) -> None:
    data = [(X, Y), (X, Y)]
    kept = make_trainer(data=data, model=keeps_graph())
    assert "self.state = state.detach()" in notes_of(kept.fit, "second time")
    changed = make_trainer(in_place, data=data, model=nn.Linear(3, 1))
    assert "change a copy, x.clone()" in notes_of(changed.fit, "inplace operation")


def test_an_equation_is_named(make_trainer: MakeTrainer) -> None:
    def equation(t: Tensor, net: nn.Module) -> Tensor:
        return torch.autograd.grad(net(t), t, create_graph=True)[0]

    trainer = make_trainer(
        data=[{"ode": torch.rand(4, 1)}], model=PINN(FFNN([1, 4, 1]), {"ode": equation})
    )
    notes = notes_of(trainer.fit, "scalar outputs")
    assert "This was the equation 'ode'." in notes
    assert "Differentiate the sum" in notes


def test_derivatives_in_a_validation(make_trainer: MakeTrainer) -> None:
    def loss_fn(batch: Any, model: nn.Module) -> Any:
        x = batch[0].requires_grad_()
        return torch.autograd.grad(model(x).sum(), x, create_graph=True)[0].square().mean(), {}

    trainer = make_trainer(loss_fn, data=[(X, Y)], model=FFNN([3, 4, 1]))
    trainer.fit()
    assert "torch.enable_grad()" in notes_of(lambda: trainer.validate([(X, Y)]), "grad_fn")


def test_samples_that_cannot_be_stacked(make_trainer: MakeTrainer) -> None:
    rows = torch.utils.data.DataLoader([torch.rand(1), torch.rand(2)], batch_size=2)  # type: ignore[arg-type]
    trainer = make_trainer(data=rows, model=nn.Linear(1, 1))
    assert "pad_sequence" in notes_of(trainer.fit, "equal size")
