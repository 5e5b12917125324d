"""Warnings of a fit point at the line that a user wrote."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Callback, Trainer, load_model, write_checkpoint

MakeTrainer = Callable[..., Trainer]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines_of_warnings(act: Callable[[], Any], text: str) -> list[str]:
    """Return the source line that each warning with a text points at, all in this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    found = [warning for warning in caught if text in str(warning.message)]
    assert {warning.filename for warning in found} <= {__file__}
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    return [source[warning.lineno - 1].strip() for warning in found]


def test_on_resuming_nothing(make_trainer: MakeTrainer) -> None:
    def act() -> None:
        make_trainer().fit(resume=True)

    assert lines_of_warnings(act, "Nothing to resume") == ["make_trainer().fit(resume=True)"]


def test_on_resuming_with_other_settings(make_trainer: MakeTrainer) -> None:
    make_trainer(checkpoint_every=1).fit()
    trainer = make_trainer(seed=3, max_iter=3)

    def act() -> None:
        trainer.fit(resume=True)

    assert lines_of_warnings(act, "different settings") == ["trainer.fit(resume=True)"]


def test_of_a_batch_that_is_skipped(make_trainer: MakeTrainer, rows: tuple[Tensor, Tensor]) -> None:
    x, y = rows
    spoilt = torch.cat([x[:-1], x[-1:] * torch.nan])
    trainer = make_trainer(data=(spoilt, y), on_nonfinite="skip", max_iter=1)

    def act() -> None:
        trainer.fit()

    assert lines_of_warnings(act, "were skipped") == ["trainer.fit()"]


def test_inside_a_step_that_torch_calls(make_trainer: MakeTrainer, make_net: Any) -> None:
    """L-BFGS calls the loss, so between the fit and the warning are lines of torch."""
    model, stray = make_net(), nn.Parameter(torch.ones(()))
    trainer = make_trainer(
        lambda batch, model: (stray * model(batch[0]).square().mean(), {}),
        model=model,
        optimizer=torch.optim.LBFGS(model.parameters()),
        max_iter=1,
    )

    def act() -> None:
        trainer.fit()

    assert lines_of_warnings(act, "untrained parameter") == ["trainer.fit()"]


def test_in_a_callback_of_the_user(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, nn.Linear(1, 1), None, 1)

    def load(trainer: Any, config: Any, writer: Any) -> None:
        load_model(tmp_path, nn.Linear(1, 1).double())

    trainer = make_trainer(callbacks=[Callback("train_end", 1, load)])
    expected = inspect.getsource(load).splitlines()[1].strip()
    assert lines_of_warnings(trainer.fit, "converted to") == [expected]
