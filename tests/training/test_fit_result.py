"""What a fit returns: a pair that prints in one line."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from copy import copy

import torch

from perceptrain import Trainer


def test_it_is_the_pair_of_model_and_optimizer(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer(max_iter=2)
    result = trainer.fit()
    model, optimizer = result
    assert result == (trainer.model, trainer.optimizer)
    assert hash(result) == hash((trainer.model, trainer.optimizer))
    assert model is result.model is trainer.model
    assert optimizer is result.optimizer is trainer.optimizer
    assert copy(result) == result


def test_it_is_shown_with_the_last_loss(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer(max_iter=2)
    result = trainer.fit()
    model, optimizer = type(trainer.model).__name__, type(trainer.optimizer).__name__
    loss = trainer.history[-1]["train_loss"]
    line = f"FitResult({model}, {optimizer}, 2 epochs, train_loss {loss:.4g})"
    assert repr(result) == line
    html = result._repr_html_()
    assert line in html
    assert trainer.history._repr_html_() in html


def test_it_keeps_the_history_of_its_own_fit(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer(max_iter=2)
    result = trainer.fit()
    trainer.config.max_iter = 3
    trainer.fit()
    assert len(result.history) == 2


def test_it_travels_to_other_processes(make_trainer: Callable[..., Trainer]) -> None:
    result = make_trainer(max_iter=1).fit()
    again = pickle.loads(pickle.dumps(result))
    assert type(again) is type(result)
    assert repr(again) == repr(result)
    before, after = (each.model.state_dict() for each in (result, again))
    torch.testing.assert_close(after, before)
