"""Built-in callbacks pass; one bad callback for every fault is told apart."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from perceptrain import Callback, get_callback
from perceptrain.errors import ConformanceError
from perceptrain.testing import check_callback

GOOD: list[Any] = [
    get_callback("early_stopping", monitor="val_loss", patience=2),
    get_callback("early_stopping", monitor="val_loss", patience=1, restore_best=True),
    get_callback("lr_scheduler_step_decay", on="train_epoch_end", called_every=2, gamma=0.5),
    get_callback("lr_scheduler_reduce_on_plateau", on="train_epoch_end", patience=1),
    get_callback("print_metrics", called_every=10),
    Callback("train_batch_end", callback=lambda trainer, config, writer: None),
]


@pytest.mark.slow
@pytest.mark.parametrize("callback", GOOD, ids=lambda c: type(c).__name__)
def test_good_ones_pass(callback: Any) -> None:
    state = torch.get_rng_state()
    check_callback(callback)
    assert torch.equal(torch.get_rng_state(), state)


class Counting(Callback):
    """Counts epochs, and keeps the count."""

    def __init__(self) -> None:
        super().__init__("train_epoch_end")
        self.count = 0

    def begin_run(self, trainer: Any, resumed: bool) -> None:
        if not resumed:
            self.count = 0

    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        self.count += 1

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: Any) -> None:
        self.count = state["count"]


class StartsOver(Counting):
    def begin_run(self, trainer: Any, resumed: bool) -> None:
        self.count = 0


class Forgets(Counting):
    def load_state_dict(self, state: Any) -> None:
        pass


class Leaves(Counting):
    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        trainer.model.eval()


class Holds(Counting):
    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "generator": random.Random(0)}


class Ruins(Counting):
    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        with torch.no_grad():
            next(trainer.model.parameters()).fill_(torch.nan)


class Once(Counting):
    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        super().run_callback(trainer, config, writer)
        if getattr(self, "used", 0) > 4:
            raise RuntimeError("used up")
        self.used = getattr(self, "used", 0) + 1


class Seeds(Counting):
    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        torch.manual_seed(3)


class Shrinks(Counting):
    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        with torch.no_grad():
            next(trainer.model.parameters()).mul_(0.5)


class Elsewhere(Counting):
    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        with open("notes.txt", "a") as file:
            file.write("here\n")


class Vector(Counting):
    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        writer.write(trainer.current_epoch, {"vector": torch.ones(3)})


class CountsOnly(Callback):
    """It counts, and says nothing of it."""

    def __init__(self) -> None:
        super().__init__("train_epoch_end")
        self.count = 0

    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        self.count += 1


BAD: list[tuple[Any, str]] = [
    (print, "it is builtin_function_or_method; a subclass of perceptrain.Callback was expected"),
    (StartsOver(), r"resumes from its state: after a resume state_dict\(\)\['count'\] changed"),
    (Forgets(), r"saves a plain state and restores it: state_dict\(\)\['count'\] changed"),
    (Leaves(), "does not change the model .*: the training mode of the model changed"),
    (Seeds(), "it seeds torch's global random numbers"),
    (Shrinks(), "does not change the model .*: the parameter '0.weight' changed"),
    (Elsewhere(), r"it wrote notes\.txt outside the run folder"),
    (Vector(), "it raised .*test_callback.py, line"),
    (CountsOnly(), "after a resume its count is 2, and 4 in an uninterrupted run"),
    (Holds(), "saves a plain state and restores it: it raised"),
    (Ruins(), "works in two fits in a row"),
    (Once(), "it raised RuntimeError: used up"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("callback", "message"), BAD, ids=lambda value: type(value).__name__)
def test_each_fault_is_told(callback: Any, message: str) -> None:
    with pytest.raises(ConformanceError, match=message):
        check_callback(callback)


def test_one_of_ones_own_passes_and_is_not_run() -> None:
    callback = Counting()
    check_callback(callback)
    assert callback.count == 0


def test_one_that_is_meant_to_change_the_model_may() -> None:
    check_callback(Shrinks(), changes_model=True)
