"""Checks of a callback."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from perceptrain_core.callbacks import Callback
from perceptrain_core.config import TrainConfig
from perceptrain_core.testing.checks import require_all, stray_files
from perceptrain_core.testing.trial_case import (
    changes,
    counters,
    leaves,
    observed,
    saved_and_loaded,
)
from perceptrain_core.training import Trainer

_EPOCHS = 4


def check_callback(callback: Callback, *, changes_model: bool = False) -> None:
    """Check that a callback keeps the contract, in short runs with training and validation.

    The callback must work in two fits in a row. Its state must survive a checkpoint, and a resumed
    run must end in the same state as an uninterrupted one. It must not change the model, its mode
    or the random seed, or write outside the run folder. The checks work on copies, in a temporary
    folder.

    Args:
        callback: The callback, before its first run.
        changes_model: Skip the check that the model does not change, for a callback that is meant
            to change it, for example by loading weights.

    Raises:
        ConformanceError: A check failed; the message lists every fault.
    """
    label = f"The callback {type(callback).__name__!r}"
    checks = {n: find for n, find in _CHECKS.items() if not (changes_model and n == _CHANGES)}
    require_all(callback, label, ("is a callback", _kind_faults), checks)


def _kind_faults(callback: Any) -> Iterator[str]:
    if not isinstance(callback, Callback):
        yield (
            f"it is {type(callback).__name__}; a subclass of perceptrain.Callback was expected, or "
            "Callback(on, callback=f) for a function f"
        )


@dataclass
class _Run:
    """A short run in a folder of its own."""

    callback: Callback
    folder: str

    def fit(self, epochs: int = _EPOCHS, resume: bool = False) -> Trainer:
        torch.manual_seed(0)
        x = torch.rand(6, 2)
        model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.1), nn.Linear(4, 1))
        config = TrainConfig(
            max_iter=epochs,
            batch_size=3,
            val_every=1,
            checkpoint_every=1,
            verbose=False,
            write_every=1,
            tracking_tool="csv",
            root_folder=Path(self.folder),
            callbacks=[self.callback],
        )
        data = x, x.sum(dim=1, keepdim=True)
        trainer = Trainer(model, torch.optim.Adam(model.parameters()), config, "mse", data, data)
        trainer.fit(resume=resume)
        return trainer


def _run_faults(callback: Callback) -> Iterator[str]:
    used = copy.deepcopy(callback)
    for number in ("first", "second"):
        with tempfile.TemporaryDirectory() as folder:
            trainer = _Run(used, folder).fit()
        epochs = len(trainer.history)
        if not 0 < epochs <= _EPOCHS:
            yield f"the {number} run had {epochs} epochs of {_EPOCHS}"
        if not all(p.isfinite().all() for p in trainer.model.parameters()):
            yield f"after the {number} run the parameters are not finite"


def _change_faults(callback: Callback) -> Iterator[str]:
    """Report changes of the model or of the random numbers, which other code relies on."""
    faults: list[str] = []
    randoms: list[bytes] = []
    used = copy.deepcopy(callback)
    run = used.run_callback

    def watched(trainer: Any, config: TrainConfig, writer: Any) -> Any:
        before = _observed_model(trainer.model)
        torch.manual_seed(len(randoms))
        result = run(trainer, config, writer)
        randoms.append(torch.get_rng_state().numpy().tobytes())
        faults.extend(changes(before, _observed_model(trainer.model)))
        return result

    used.run_callback = watched  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        _Run(used, folder).fit()
    yield from dict.fromkeys(faults)
    if len(randoms) > 1 and len(set(randoms)) == 1:
        yield "it seeds torch's global random numbers: only the run may do that"


def _observed_model(model: nn.Module) -> dict[str, dict[str, Any]]:
    mode = {"the training mode of the model": observed(model.training)}
    parameters = model.named_parameters()
    return mode | {f"the parameter {n!r}": {"": p.detach().clone()} for n, p in parameters}


def _place_faults(callback: Callback) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        _Run(copy.deepcopy(callback), folder).fit()
    yield from stray_files()


def _state_faults(callback: Callback) -> Iterator[str]:
    used = copy.deepcopy(callback)
    with tempfile.TemporaryDirectory() as folder:
        _Run(used, folder).fit()
    state = saved_and_loaded(used.state_dict())
    fresh = copy.deepcopy(callback)
    fresh.load_state_dict(state)
    yield from changes(_observed_state(state), _observed_state(fresh.state_dict()))


def _resume_faults(callback: Callback) -> Iterator[str]:
    whole, before, after = (copy.deepcopy(callback) for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        history = _Run(whole, folder).fit().history
    with tempfile.TemporaryDirectory() as folder:
        _Run(before, folder).fit(epochs=_EPOCHS // 2)
        resumed = _Run(after, folder).fit(resume=True).history
    if list(history) != list(resumed):
        yield "a resumed run has a different history from an uninterrupted one"
    for change in changes(_observed_state(whole.state_dict()), _observed_state(after.state_dict())):
        yield f"after a resume {change}: save in state_dict what the next epochs need"
    counts = counters(after)
    for name, count in counters(whole).items():
        if counts.get(name) != count:
            yield (
                f"after a resume its {name} is {counts.get(name)}, and {count} in an uninterrupted "
                "run: save it in state_dict, or reset it in each run"
            )


def _observed_state(state: Any) -> Any:
    return {name: observed(value) for name, value in leaves(state, "state_dict()")}


_CHANGES = "does not change the model or the random numbers"
_CHECKS = {
    "works in two fits in a row": _run_faults,
    _CHANGES: _change_faults,
    "writes only to the run folder": _place_faults,
    "saves a plain state and restores it": _state_faults,
    "resumes from its state": _resume_faults,
}
