"""A fit in several processes: started here, trained there, brought back here."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any

import torch

from perceptrain_core.checkpoints.random_state import (
    get_random_state,
    seed_everything,
    set_random_state,
)
from perceptrain_core.config import TrainConfig
from perceptrain_core.data.device import data_to_device
from perceptrain_core.data.position.generators import loader_random_state, set_loader_random_state
from perceptrain_core.engine import Engine, make_engine
from perceptrain_core.engine.distributed import require_gpus
from perceptrain_core.errors import TrainingError
from perceptrain_core.optimizers.ask_tell import AskTell
from perceptrain_core.optimizers.step import may_need_closure
from perceptrain_core.training.averages import reduce_row
from perceptrain_core.training.contract.nonfinite_guard import require_optimizer
from perceptrain_core.training.resume.checkpoint_state import (
    find_run,
    restore_callbacks,
    restore_trained,
    trained_state,
)
from perceptrain_core.types import LossFunction, StepResult

# What a fit makes for itself; some of it holds open files or loaders that are under way.
_OF_A_FIT = (
    *("_events", "_feed", "_guard", "_meter", "_signals", "_step_loss", "_take_step"),
    *("averaged_model", "grad_scaler", "schedule"),
)

# What a user may look at after a fit, and no checkpoint holds.
_OUTCOME = ("_log_folder", "stop_training", "interrupted", "stop_signal")
_RESULT = ("iteration", "loss", "metrics", "extra")


def engine_for(config: TrainConfig) -> Engine:
    """Make the engine of a run in this process; only the first of several processes talks."""
    engine = make_engine(config.compute_setup, config.dtype, config.backend)
    if engine.rank:
        config.verbose = False
    return engine


def fit_in_processes(trainer: Any, resume: bool | str | Path) -> None:
    """Fit in ``config.nprocs`` new processes, and put the trainer to where they got.

    Raises:
        TrainingError: Something cannot be copied to them, there are too few GPUs, or this is one
            of several processes already.
    """
    # The launcher takes a while to import, and few runs need it.
    from perceptrain_core.engine.launch import run_in_processes

    nprocs, engine = trainer.config.nprocs, trainer.engine
    if engine.world_size > 1:
        raise TrainingError(
            f"nprocs={nprocs}, but {engine.world_size} processes were started: start as many, or "
            "leave nprocs at 1, which takes those that there are."
        )
    if engine.device.type == "cuda":
        require_gpus(nprocs)
    require_means(trainer.optimizer)
    sent = copy(trainer)
    for name in _OF_A_FIT:
        vars(sent).pop(name, None)
    left = run_in_processes(_fit_here, nprocs, sent, resume, get_random_state())
    trainer._assemble(left["batches"])
    path = Path("what the processes trained")
    restore_callbacks(path, trainer.callbacks, left["trained"]["callbacks"])
    restore_trained(trainer, path, left["trained"])
    set_random_state(left["random"])
    set_loader_random_state(trainer.train_dataloader, left["generators"])
    vars(trainer).update(left["outcome"])
    vars(trainer.opt_result).update(left["result"])


def _fit_here(trainer: Any, resume: bool | str | Path, random: dict[str, Any]) -> Any:
    from perceptrain_core.training.trainer import Trainer

    set_random_state(random)
    trainer.engine = engine_for(trainer.config)
    # Not a fit that a subclass overrides: that one is on its way in the process that started this.
    Trainer.fit(trainer, resume=resume)
    left = {
        "batches": trainer._feed.epochs.count(),
        "trained": trained_state(trainer),
        "random": get_random_state(),
        "generators": loader_random_state(trainer.train_dataloader),
        "outcome": {name: getattr(trainer, name) for name in _OUTCOME},
        "result": {name: getattr(trainer.opt_result, name) for name in _RESULT},
    }
    return data_to_device(left, "cpu")


def joined_loss(trainer: Any, step_loss: LossFunction) -> LossFunction:
    """Give the loss for the steps of a fit; its gradients are the means over all processes.

    Raises:
        TrainingError: The optimizer needs more than those.
    """
    engine: Engine = trainer.engine
    if engine.world_size > 1:
        require_means(trainer.optimizer)
    return engine.join(step_loss, [trainer.model, trainer.loss_fn, trainer.optimizer])


def agreed(engine: Engine, result: StepResult, average: bool) -> StepResult:
    """Give the loss and metrics of a step that all processes go by, as `reduce_row` does."""
    if engine.world_size == 1:
        return result
    loss, metrics = result
    row = {name: float(value) for name, value in {**metrics, "": loss}.items()}
    row = reduce_row(engine, row, average)
    return loss.new_tensor(row.pop("")), row


def require_means(optimizer: Any) -> None:
    """Check that an optimizer needs no more than the mean of the gradients.

    Raises:
        TrainingError: It goes by values of the loss, which is another one in each process; or
            there is none.
    """
    require_optimizer(optimizer)
    if isinstance(optimizer, AskTell) or may_need_closure(optimizer):
        raise TrainingError(
            f"{type(optimizer).__name__} cannot train in several processes: it compares values of "
            "the loss, and each process knows only that of its own data. Use nprocs=1, or a "
            "first-order optimizer such as Adam."
        )


def seed_run(engine: Engine, seed: int | None) -> None:
    """Seed the generators, if there is a seed; in several processes always, and each apart."""
    if engine.world_size > 1:
        drawn = int(torch.randint(2**31, ()))
        base = engine.broadcast(drawn if seed is None else seed)
        seed = (base + engine.rank) % 2**32
    if seed is not None:
        seed_everything(seed)


def find_shared_run(
    engine: Engine, config: TrainConfig, resume: bool | str | Path
) -> tuple[Path, dict[str, Any]] | None:
    """Find what to resume, as `find_run` does; the first process reads it for all."""
    return engine.broadcast(find_run(config, resume) if engine.rank == 0 else None)
