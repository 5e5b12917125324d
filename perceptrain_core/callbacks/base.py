"""The base class of callbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from inspect import signature
from typing import Any, ClassVar, TypeAlias

from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.option_checks import check_callable, number_faults, refuse
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import OptimizeResult, TrainingStage

CallbackFunction: TypeAlias = Callable[[TrainerContext, TrainConfig, Tracker], Any]
Condition: TypeAlias = Callable[[OptimizeResult], bool]
Modifier: TypeAlias = Callable[[OptimizeResult], OptimizeResult] | Mapping[str, Any]


class Callback:
    """Run a function, or a subclass's ``run_callback``, at a stage of training.

    The trainer never copies a callback, so its attributes can be read after the fit. What
    ``state_dict`` returns is saved in checkpoints.

    Args:
        on: The stage, a `TrainingStage` or its value such as ``"train_epoch_end"``.
        called_every: Run every ``called_every`` epochs, or batches on a batch stage; ignored at
            the start and the end of training.
        callback: ``f(trainer, config, writer)``, the function to run instead of a subclass's
            ``run_callback``.
        callback_condition: ``f(opt_result) -> bool``; run only if it returns true.
        modify_optimize_result: ``f(opt_result) -> opt_result``, applied to
            ``trainer.opt_result`` before the callback runs; or a dict to add to its ``extra``.

    Raises:
        CallbackError: The stage is unknown, ``called_every`` is below 1, a function cannot be
            called as described, or there is nothing to run.
    """

    #: The stages that a subclass can run on.
    stages: ClassVar[frozenset[TrainingStage]] = frozenset(TrainingStage)
    #: Whether it saves checkpoints. Such callbacks run last, to save the state of the others.
    saves_run: ClassVar[bool] = False
    #: Whether it may use the model, of which a sharded run then gathers the weights.
    uses_model: ClassVar[bool] = True

    def __init__(
        self,
        on: TrainingStage | str = TrainingStage.TRAIN_EPOCH_END,
        called_every: int = 1,
        callback: CallbackFunction | None = None,
        callback_condition: Condition | None = None,
        modify_optimize_result: Modifier | None = None,
    ) -> None:
        self.on = _stage(on, type(self))
        if self.on not in self.stages:
            allowed = ", ".join(sorted(self.stages))
            raise CallbackError(
                f"{type(self).__name__} cannot run on {self.on.value!r}; it runs on {allowed}: "
                "set on to one of them."
            )
        faults = number_faults({"called_every": called_every}, whole=True, at_least=1)
        refuse(type(self).__name__, faults, CallbackError)
        self.called_every = int(called_every)
        if callback is None and type(self).run_callback is Callback.run_callback:
            raise CallbackError(
                "This callback has nothing to run: pass callback=f, called as "
                "f(trainer, config, writer), or override run_callback in a subclass."
            )
        check_callable(callback, "callback", ("trainer", "config", "writer"))
        check_callable(callback_condition, "callback_condition", ("opt_result",))
        if not isinstance(modify_optimize_result, Mapping):
            check_callable(modify_optimize_result, "modify_optimize_result", ("opt_result",))
        self.callback = callback
        self.callback_condition = callback_condition
        self.modify_optimize_result = modify_optimize_result

    def __call__(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Check the condition, modify the result, and run."""
        result = trainer.opt_result
        if self.callback_condition is not None and not self.callback_condition(result):
            return
        if isinstance(self.modify_optimize_result, Mapping):
            result.extra.update(self.modify_optimize_result)
        elif self.modify_optimize_result is not None:
            trainer.opt_result = _modified(self.modify_optimize_result, result)
        self.run_callback(trainer, config, writer)

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> Any:
        """Do the work; subclasses override this.

        Args:
            trainer: The trainer: its model, optimizer, ``opt_result``, ``current_epoch``, ...
            config: The settings; ``log_folder`` is the folder of this run.
            writer: The tracker of this run.
        """
        assert self.callback is not None
        return self.callback(trainer, config, writer)

    def is_due(self, count: int, trainer: TrainerContext) -> bool:
        """Whether to run at a stage: by default, at every ``called_every``-th.

        Args:
            count: The epoch, or on batch stages the batch, counted from 1.
            trainer: The trainer.
        """
        return count % self.called_every == 0

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Prepare for a fit; callbacks with state reset it here, unless the run is resumed.

        Args:
            trainer: The trainer, before the first stage.
            resumed: Whether `load_state_dict` has just restored the state.
        """

    def begin_epoch(self, trainer: TrainerContext) -> None:
        """Prepare for an epoch, whatever the stage; not called if a run resumes inside of it."""

    def end_run(self, trainer: TrainerContext) -> None:
        """Clean up after a fit that ended without an error, before the stage ``train_end``."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state to save: tensors, numbers, strings, and lists and dicts of these."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""


def _stage(on: TrainingStage | str, kind: type[Callback]) -> TrainingStage:
    try:
        return TrainingStage(on)
    except ValueError:
        stages = [stage.value for stage in TrainingStage if stage in kind.stages]
        close = get_close_matches(str(on), [stage.value for stage in TrainingStage], n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"stages are {', '.join(stages)}."
        options = list(signature(kind).parameters)
        if not close and options[0] == "on" and len(options) > 1:
            hint += (
                f" The stage is the first argument of {kind.__name__}; pass others by name: "
                f"{', '.join(options[1:])}."
            )
        raise CallbackError(f"There is no stage {on!r}; {hint}") from None


def _modified(modify: Callable[[OptimizeResult], Any], result: OptimizeResult) -> OptimizeResult:
    modified = modify(result)
    if isinstance(modified, OptimizeResult):
        return modified
    raise CallbackError(
        f"modify_optimize_result returned {type(modified).__name__}; it must return the "
        "OptimizeResult, modified or not."
    )
