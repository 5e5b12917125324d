from __future__ import annotations

from math import exp, log

import pytest
import torch
from torch import nn

from perceptrain import Counted, TrainConfig, Trainer, WeightedLoss
from perceptrain.errors import ConfigError
from perceptrain_core.weightings.uncertainty import Uncertainty


class Point(nn.Module):
    def __init__(self):
        super().__init__()
        self.x = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))


def loss(batch, model):
    terms = {"a": (model.x - 3).square(), "b": 4 * model.x.square(), "free": 0 * model.x}
    return sum(terms.values()), terms


def test_value_and_gradients_by_hand():
    weighting = Uncertainty(["a", "b"])
    with torch.no_grad():
        weighting.log_variances["a"].fill_(log(2.0))
    model, loss_fn = Point(), WeightedLoss(loss, weighting)
    value, metrics = loss_fn(None, model)
    value.backward()
    # a = 4 with exp(-s) = 1/2, b = 4 with exp(-s) = 1
    assert value.item() == pytest.approx(0.25 * 4 + log(2) / 2 + 0.5 * 4)
    assert model.x.grad.item() == pytest.approx(0.25 * -4 + 0.5 * 8)
    (parameter,) = weighting.parameters()
    assert parameter.grad.tolist() == pytest.approx([(1 - 4 / 2) / 2, (1 - 4) / 2])
    assert metrics["weight_a"].item() == pytest.approx(0.25)
    assert metrics["weight_b"].item() == 0.5
    assert "weight_free" not in metrics


def test_it_settles_at_the_inverse_of_terms_that_stay(step):
    weighting = Uncertainty(["a", "b"])
    adam = torch.optim.Adam(weighting.parameters(), lr=0.05)
    terms = {"a": torch.tensor(0.2), "b": torch.tensor(5.0)}
    for _ in range(800):
        adam.zero_grad()
        weighting.combine(terms, {}).backward()
        adam.step()
    weights = step(weighting, {"a": 0.2, "b": 5.0})
    assert weights == pytest.approx({"a": 1 / 0.4, "b": 1 / 10}, rel=1e-3)


def test_the_trainer_trains_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weighting = Uncertainty(["a", "b"])
    config = TrainConfig(max_iter=60, verbose=False)
    trainer = Trainer(Point(), {"name": "adam", "lr": 0.1}, config, WeightedLoss(loss, weighting))
    model, optimizer = trainer.fit()
    owned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert owned == {id(p) for p in (*model.parameters(), *weighting.parameters())}
    assert all(s.item() != 0 for s in weighting.log_variances.values())
    assert trainer.history[-1]["train_weight_a"] == pytest.approx(
        exp(-weighting.log_variances["a"].item()) / 2, rel=0.2
    )


@pytest.mark.parametrize("batch_size", [7, 3, 2])
def test_a_validation_has_the_weights_that_the_parameters_give(tmp_path, monkeypatch, batch_size):
    """Also where terms are means over different numbers of rows, whatever the batches."""
    monkeypatch.chdir(tmp_path)
    x = torch.linspace(-1, 1, 7, dtype=torch.float64).view(7, 1)

    def own_counts(batch, model):
        (rows,) = batch
        errors, few = (model(rows) - 1).square(), rows[:, 0] > 0
        terms = {"all": errors.mean(), "few": errors[few].sum() / max(1, few.sum())}
        return sum(terms.values()), Counted(terms, {"few": few.sum()}, dict.fromkeys(terms, 1.0))

    weighting, model = Uncertainty(["all", "few"]), nn.Linear(1, 1).double()
    config = TrainConfig(max_iter=3, batch_size=7, verbose=False)
    adam = {"name": "adam", "lr": 0.1}
    trainer = Trainer(model, adam, config, WeightedLoss(own_counts, weighting))
    trainer.fit(x)
    config.batch_size = batch_size
    row = trainer.validate(x)
    variances = {name: s.item() for name, s in weighting.log_variances.items()}
    expected = sum((exp(-s) * row[f"val_{n}"] + s) / 2 for n, s in variances.items())
    assert row["val_loss"] == pytest.approx(expected, rel=1e-6)
    assert row["val_weight_few"] == pytest.approx(exp(-variances["few"]) / 2, rel=1e-6)


def test_a_weight_that_runs_away_is_held(step):
    weighting = Uncertainty("a", max_weight=10)
    with torch.no_grad():
        weighting.log_variances["a"].fill_(-50)
    with pytest.warns(UserWarning, match="weight of a is held at max_weight=10"):
        assert step(weighting, {"a": 0.0})["a"] == pytest.approx(10)
    assert weighting.log_variances["a"].item() == pytest.approx(-log(20))


def test_without_names_it_learns_the_terms_of_the_first_batch():
    model, named, learned = Point(), Uncertainty(["a", "b", "free"]), Uncertainty()
    assert learned.terms == ()
    results = [WeightedLoss(loss, weighting)(None, model) for weighting in (named, learned)]
    assert learned.terms == ("a", "b", "free")
    assert results[0][1] == results[1][1]
    torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=0)
    other = WeightedLoss(loss, Uncertainty())
    other.eval()
    model.eval()
    assert other(None, model)[0].item() == pytest.approx(8)  # the plain sum until it has learned
    assert other.weighting.terms == ()


def test_learned_terms_are_trained_and_resumed_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def trainer(epochs, folder, terms=None):
        loss_fn = WeightedLoss(loss, Uncertainty(terms))
        config = TrainConfig(
            max_iter=epochs, verbose=False, checkpoint_every=1, log_folder=folder, dtype="float64"
        )
        return Trainer(Point(), {"name": "adam", "lr": 0.1}, config, loss_fn)

    def outcome(trainer):
        values = {n: s.item() for n, s in trainer.loss_fn.weighting.log_variances.items()}
        return trainer.model.x.item(), values, [*trainer.history]

    whole, named = trainer(9, "whole"), trainer(9, "named", ["a", "b", "free"])
    whole.fit()
    named.fit()
    trainer(4, "parts").fit()
    resumed = trainer(9, "parts")
    resumed.fit(resume=True)
    assert outcome(resumed) == outcome(whole) == outcome(named)
    assert 0 not in outcome(whole)[1].values()


def test_learned_terms_with_lbfgs():
    model, weighting = Point(), Uncertainty()
    loss_fn = WeightedLoss(loss, weighting)
    optimizer = torch.optim.LBFGS([*model.parameters(), *loss_fn.parameters()], max_iter=5, lr=0.1)

    def closure():
        optimizer.zero_grad()
        value, _ = loss_fn(None, model)
        value.backward()
        return value

    loss_fn.begin_step()
    optimizer.step(closure)
    assert weighting.log_variances["a"].item() != 0


def test_more_terms_than_can_be_learned():
    def many(batch, model):
        terms = {f"t{number}": number * model.x for number in range(33)}
        return sum(terms.values()), terms

    with pytest.raises(ConfigError, match=r"33 terms, and at most 32 .* Name them: terms="):
        WeightedLoss(many, Uncertainty())(None, Point())
    WeightedLoss(many, Uncertainty([f"t{n}" for n in range(33)]))(None, Point())


def test_a_name_that_is_no_term():
    with pytest.raises(ConfigError, match="names terms that are not in the loss: 'c'"):
        WeightedLoss(loss, Uncertainty(["a", "c"]))(None, Point())
    with pytest.raises(ConfigError, match="terms is empty"):
        Uncertainty([])
