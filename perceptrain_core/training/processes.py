"""A fit in several processes: started here, trained there, and its outcome loaded here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.data.position.generators import loader_random_state, set_loader_random_state
from perceptrain_core.data.support.device import data_to_device
from perceptrain_core.engine import Engine, make_engine
from perceptrain_core.engine.distributed import require_gpus
from perceptrain_core.errors import TrainingError
from perceptrain_core.optimizer_steps import may_need_closure, may_need_residuals
from perceptrain_core.optimizers.ask_tell import is_search
from perceptrain_core.random_state import get_random_state, set_random_state
from perceptrain_core.training.contract.choice import require_optimizer
from perceptrain_core.training.resume.checkpoint_state import (
    restore_callbacks,
    restore_trained,
    trained_state,
)
from perceptrain_core.training.run_parts import RunParts
from perceptrain_core.training.run_state import RunState


@dataclass
class FitOutcome:
    """What a fit in other processes leaves, as it travels back.

    Attributes:
        batches: Batches per epoch, if known.
        trained: From `trained_state`.
        state: The counters and the history, without model and optimizer.
        random: The state of the global random generators.
        generators: The states of the generators of the training data.
    """

    batches: int | None
    trained: dict[str, Any]
    state: RunState
    random: dict[str, Any]
    generators: Any

    @classmethod
    def of(cls, parts: RunParts, state: RunState, data: Any, batches: int | None) -> FitOutcome:
        """Collect the outcome of a fit that has ended in this process.

        Args:
            parts: The parts of the fit.
            state: Its counters and history.
            data: The training data.
            batches: Batches per epoch, if known.
        """
        shown = state.opt_result
        result = replace(
            shown,
            model=nn.Identity(),
            optimizer=None,
            loss=data_to_device(shown.loss, "cpu"),
            metrics=data_to_device(shown.metrics, "cpu"),
            extra=data_to_device(shown.extra, "cpu"),
        )
        return cls(
            batches,
            data_to_device(trained_state(parts, state), "cpu"),
            replace(state, opt_result=result),
            get_random_state(),
            data_to_device(loader_random_state(data), "cpu"),
        )

    def load(self, parts: RunParts, state: RunState, data: Any) -> None:
        """Load the outcome into the parts, state and data of the process that started the fit."""
        path = Path("what the processes trained")
        restore_callbacks(path, parts.callbacks, self.trained["callbacks"])
        own = state.opt_result
        vars(state).update(vars(self.state))
        state.opt_result = replace(
            self.state.opt_result,
            model=own.model,
            optimizer=own.optimizer,
            rank=own.rank,
            device=own.device,
        )
        restore_trained(parts, state, path, self.trained)
        set_random_state(self.random)
        set_loader_random_state(data, self.generators)


def engine_for(config: TrainConfig) -> Engine:
    """Create the engine of this process; only the first of several processes prints."""
    engine = make_engine(
        config.compute_setup, config.float_dtype, config.backend, config.process_timeout
    )
    if engine.rank:
        config.verbose = False
    return engine


def launch_fit(
    config: TrainConfig, engine: Engine, optimizer: Any, fit: Callable[[], FitOutcome | None]
) -> FitOutcome:
    """Run a fit in ``config.nprocs`` new processes.

    Args:
        config: The settings.
        engine: The engine of this process.
        optimizer: The optimizer.
        fit: Called in each process, with the random state of this one; its result in the first
            process comes back.

    Raises:
        TrainingError: Something cannot be sent to the processes, there are too few GPUs, or this is
            one of several processes already.
    """
    # The launcher takes long to import, and few runs need it.
    from perceptrain_core.engine.launch import run_in_processes

    nprocs = config.nprocs
    if engine.world_size > 1:
        raise TrainingError(
            f"nprocs={nprocs}, but {engine.world_size} processes were started: start as many, or "
            "leave nprocs at 1, which uses all that were started."
        )
    if engine.device.type == "cuda":
        require_gpus(nprocs)
    check_supports_processes(optimizer)
    outcome = run_in_processes(_seeded, nprocs, fit, get_random_state())
    assert outcome is not None  # that of the first process
    return outcome


def _seeded(fit: Callable[[], FitOutcome | None], random: dict[str, Any]) -> FitOutcome | None:
    set_random_state(random)
    return fit()


def check_supports_processes(optimizer: Any) -> None:
    """Check that an optimizer needs nothing but the average of the gradients.

    Raises:
        TrainingError: It compares values of the loss, which differ between processes; or there is
            no optimizer.
    """
    require_optimizer(optimizer)
    compares = is_search(optimizer) or may_need_closure(optimizer) or may_need_residuals(optimizer)
    if compares:
        raise TrainingError(
            f"{type(optimizer).__name__} cannot train in several processes: it compares values of "
            "the loss, and each process only knows the loss of its own data. Use nprocs=1, or a "
            "first-order optimizer such as Adam."
        )
