"""Faults that were measured in a trainer before this one, and are not here: runs and mistakes.

The other sections, and what they are, are in ``test_measured_faults.py``.
"""

from __future__ import annotations

import gc
import os
import pickle
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from perceptrain import (
    FFNN,
    PINN,
    TrainConfig,
    Trainer,
    load_checkpoint,
    to_dataloader,
)
from perceptrain.callbacks import (
    Callback,
    LRSchedulerStepDecay,
)
from perceptrain.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    LossContractError,
    NonFiniteLossError,
    ShapeError,
    TrainingError,
)

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, for runs write where they are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    return all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))


# 5. One epoch too many was trained; a resumed run repeated an epoch, then trained max_iter more
# with other random numbers, and its learning-rate callbacks fired twice; the best checkpoint
# resumed at epoch 0.


def resumable(make_trainer: MakeTrainer, rows: Rows, epochs: int, folder: str) -> Trainer:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    return make_trainer(
        model=model,
        data=to_dataloader(*rows, batch_size=6, shuffle=True),
        callbacks=[LRSchedulerStepDecay("train_epoch_end", 1, 0.5)],
        max_iter=epochs,
        checkpoint_every=1,
        log_folder=folder,
    )


def test_5_exactly_max_iter_epochs(make_trainer: MakeTrainer) -> None:
    seen: list[int] = []
    note = Callback("train_epoch_start", callback=lambda t, c, w: seen.append(t.current_epoch))
    make_trainer(max_iter=3, callbacks=[note]).fit()
    assert seen == [1, 2, 3]


def test_5_a_resumed_run_ends_as_one_that_was_never_stopped(
    make_trainer: MakeTrainer, rows: Rows
) -> None:
    whole = resumable(make_trainer, rows, 5, "whole")
    whole.fit()
    resumable(make_trainer, rows, 2, "parts").fit()
    torch.manual_seed(99)
    parts = resumable(make_trainer, rows, 5, "parts")
    parts.fit(resume=True)
    assert parts.history == whole.history
    assert len(parts.history) == 5
    assert same_weights(parts.model, whole.model)
    assert parts.optimizer.param_groups[0]["lr"] == 0.01 * 0.5**5


def test_5_the_best_checkpoint_resumes_at_its_epoch(make_trainer: MakeTrainer, rows: Rows) -> None:
    settings = {"val": rows, "val_every": 1, "checkpoint_best_only": True}
    make_trainer(max_iter=3, **settings).fit()
    resumed = make_trainer(max_iter=5, **settings)
    seen: list[int] = []
    resumed.on_train_epoch_start = lambda: seen.append(resumed.current_epoch)  # type: ignore[method-assign]
    resumed.fit(resume=True)
    assert seen == [4, 5]


# 6. A truncated checkpoint of the model gave fresh weights with the old state of the optimizer,
# silently, and the older one was ignored; a full disk was forgotten; loading ran pickled code.


def test_6_a_truncated_checkpoint_gives_the_one_before_it(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_iter=3, checkpoint_every=1)
    weights: list[Any] = []
    trainer.on_train_epoch_end = lambda metrics: weights.append(  # type: ignore[method-assign]
        {name: value.clone() for name, value in trainer.model.state_dict().items()}
    )
    trainer.fit()
    newest = max(trainer.log_folder.glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:-300])
    model = FFNN([2, 8, 1], nn.Tanh())
    adam = torch.optim.Adam(model.parameters())
    with pytest.warns(UserWarning, match=f"{newest.name} is damaged"):
        _, _, epoch = load_checkpoint(trainer.log_folder, model, adam)
    assert epoch == 2
    assert all(torch.equal(value, weights[1][n]) for n, value in model.state_dict().items())
    assert adam.state_dict()["state"][0]["step"] == 8


def test_6_a_full_disk_stops_the_run(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        make_trainer(checkpoint_every=1).fit()


class Hostile:
    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("save", [torch.save, lambda it, path: path.write_bytes(pickle.dumps(it))])
def test_6_loading_runs_no_code(here: Path, save: Any) -> None:
    path = here / "checkpoint_epoch_000001.pt"
    save({"format": 1, "model": Hostile()}, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path, nn.Linear(1, 1))
    assert not (here / "executed").exists()


# 10. What users hand in by mistake was accepted in silence, or told by an error from deep inside.


def error_of(batch: Rows, model: nn.Module) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean()


X, Y = torch.arange(8.0).reshape(4, 2) / 8, torch.ones(4, 1)
CLASSES = torch.tensor([0, 1, 2, 1])
LOSSES: dict[str, tuple[Any, type[Exception], str]] = {
    "NaN": (lambda b, m: (error_of(b, m) * torch.nan, {}), NonFiniteLossError, "the loss is nan"),
    "not of the model": (lambda b, m: (b[1].mean(), {}), LossContractError, "does not depend on"),
    "number": (123, LossContractError, "The loss is 123; expected"),
    "tensor alone": (error_of, LossContractError, "Return it with its metrics"),
    "no dict": (lambda b, m: (error_of(b, m), None), LossContractError, r"return \{\} for none"),
}
DATA: dict[str, tuple[str, Any, type[Exception], str]] = {
    "(N, 1) against (N,)": ("mlp", (X, Y[:, 0]), ShapeError, r"\(4, 1\) .* \(4,\).*unsqueeze"),
    "empty": ("mlp", DataLoader(TensorDataset(X[:0], Y[:0])), DataError, "train data are empty"),
    "missing key": ("pinn", [{"a": X}], DataError, "Missing: 'b'; not known: none"),
    "extra key": ("pinn", [{"a": X, "b": X, "c": X}], DataError, "not known: 'c'"),
    "tuple for a PINN": ("pinn", [(X, Y)], DataError, "expected a dict of points with the keys"),
    "dict for another": ("mlp", [{"a": X}], TypeError, "a dict batch is for a PINN"),
    "float64": ("mlp", (X.double(), Y.double()), RuntimeError, r"dtype=torch.float32\) casts"),
    "classes as floats": ("classes", (X, CLASSES.float()), DataError, "keep class labels int64"),
}


@pytest.mark.parametrize("case", LOSSES)
def test_10_a_loss_that_cannot_be_is_refused(make_trainer: MakeTrainer, case: str) -> None:
    loss_fn, kind, message = LOSSES[case]
    with pytest.raises(kind, match=message):
        make_trainer(loss_fn, data=(X, Y)).fit()


@pytest.mark.parametrize("case", DATA)
def test_10_data_that_do_not_fit_are_refused(make_trainer: MakeTrainer, case: str) -> None:
    name, data, kind, message = DATA[case]
    residual = {key: lambda points, net: net(points) for key in "ab"}
    model = {
        "mlp": nn.Linear(2, 1),
        "pinn": PINN(nn.Linear(2, 1), residual),
        "classes": nn.Linear(2, 3),
    }[name]
    loss = "cross_entropy" if name == "classes" else "mse"
    with pytest.raises(kind) as caught:
        make_trainer(loss, data=data, model=model).fit()
    assert re.search(
        message, "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    )


def test_10_the_optimizer_of_another_model_is_refused(make_trainer: MakeTrainer) -> None:
    other = torch.optim.Adam(nn.Linear(2, 1).parameters())
    with pytest.raises(TrainingError, match="it was created for another model"):
        make_trainer(optimizer=other)


def test_10_all_faults_of_the_settings_are_told_at_once() -> None:
    with pytest.raises(
        ConfigError, match=r"(?s)max_iter: .*-1.*print_every: .*-2.*'auto', not 'tpu'"
    ):
        TrainConfig(max_iter=-1, print_every=-2, compute_setup="tpu")  # type: ignore[arg-type]


def test_10_numbers_as_metrics_that_come_and_go(make_trainer: MakeTrainer) -> None:
    names = iter("abab")
    loss_fn = lambda batch, model: (error_of(batch, model), {next(names): 0.5})  # noqa: E731
    trainer = make_trainer(loss_fn, data=(X, Y), batch_size=2)
    trainer.fit()
    assert [(row["train_a"], row["train_b"]) for row in trainer.history] == [(0.5, 0.5)] * 2


def test_10_a_criterion_of_torch_is_a_loss(make_trainer: MakeTrainer) -> None:
    trainer, other = make_trainer(nn.MSELoss()), make_trainer("mse")
    trainer.fit()
    other.fit()
    assert trainer.history == other.history


def test_10_labels_stay_classes_where_inputs_are_cast(make_trainer: MakeTrainer) -> None:
    data = to_dataloader(X, CLASSES, batch_size=2)
    trainer = make_trainer("cross_entropy", data=data, model=nn.Linear(2, 3), dtype="float64")
    trainer.fit()
    assert trainer.model.weight.dtype is torch.float64


# 11. Memory grew by 1.3 kB a step, for every batch's loss and metrics were kept; an infinite loader
# shuffled its whole index again at each step.


def test_11_steps_leave_nothing_behind(make_trainer: MakeTrainer, rows: Rows) -> None:
    def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        error = error_of(batch, model)
        return error, {"root": error.sqrt()}

    def kept(batches: int) -> int:
        trainer = make_trainer(loss_fn, data=[rows] * batches, max_iter=1)
        tracemalloc.start()
        trainer.fit()
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return taken

    kept(20)  # what is made once is made now
    assert (kept(600) - kept(200)) / 400 < 60  # bytes; a tensor alone takes more


def test_11_a_batch_of_an_infinite_loader_costs_no_shuffle() -> None:
    n, batches = 1_000_000, 40
    start = perf_counter()
    for _ in range(batches):
        torch.randperm(n)
    shuffles = perf_counter() - start
    loader = iter(to_dataloader(torch.zeros(n, 1), batch_size=10, infinite=True))
    start = perf_counter()
    for _ in range(batches):
        next(loader)
    assert perf_counter() - start < shuffles / 4


# 12. Importing set the global default dtype to float64, configured logging, and pulled in 1,900
# modules beyond torch.

IMPORT = """
import logging, sys
import torch, numpy
before = set(sys.modules)
from perceptrain import Trainer, TrainConfig, GradWeightedLoss, PINN, load_checkpoint
from perceptrain.callbacks import EarlyStopping
print(len(set(sys.modules) - before))
assert torch.get_default_dtype() is torch.float32
assert not logging.root.handlers and logging.root.level == logging.WARNING
"""


def test_12_importing_is_light_and_changes_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 700


# 14. verbose=False still showed the bar; a fresh run always warned that no checkpoint was found;
# fit of a subclass was ignored; set_use_grad(False) stayed on for the process, unseen.


@pytest.mark.parametrize("verbose", [True, False])
def test_14_verbose_decides_on_the_bar(
    make_trainer: MakeTrainer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verbose: bool,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    make_trainer(verbose=verbose).fit()
    assert ("epoch 2/2" in "".join(capsys.readouterr())) is verbose


def test_14_a_fresh_run_warns_of_nothing(
    make_trainer: MakeTrainer, recwarn: pytest.WarningsRecorder
) -> None:
    make_trainer(checkpoint_every=1).fit()
    assert not recwarn.list


def test_14_fit_of_a_subclass_is_what_runs(make_trainer: MakeTrainer) -> None:
    class Twice(Trainer):
        def fit(self, *args: Any, **kwargs: Any) -> Any:
            super().fit(*args, **kwargs)
            return super().fit(*args, **kwargs)

    trainer = make_trainer(kind=Twice)
    begun: list[int] = []
    trainer.on_train_start = lambda: begun.append(1)  # type: ignore[method-assign]
    assert trainer.fit() == (trainer.model, trainer.optimizer)
    assert begun == [1, 1]


def test_14_use_grad_is_seen_and_does_not_stay_on(make_trainer: MakeTrainer) -> None:
    Trainer.set_use_grad(False)  # as scripts do before they make a trainer
    search = make_trainer(optimizer={"name": "one_plus_one", "budget": 8}, data=None)
    assert search.use_grad is False
    later = make_trainer()
    assert later.use_grad is True
    later.fit()
    assert all(parameter.grad is not None for parameter in later.model.parameters())
    later.set_use_grad(False)
    with pytest.raises(TrainingError, match="use_grad=False was requested"):
        later.fit()
