"""Something that runs at a stage of training, every so often, if a condition holds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, TypeAlias

from perceptrain_core.callbacks.support.arguments import check_count
from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import OptimizeResult, TrainingStage

CallbackFunction: TypeAlias = Callable[[TrainerContext, TrainConfig, Tracker], Any]
Condition: TypeAlias = Callable[[OptimizeResult], bool]
Modifier: TypeAlias = Callable[[OptimizeResult], OptimizeResult] | Mapping[str, Any]


class Callback:
    """Run a function, or a subclass's ``run_callback``, at a stage of training.

    The object that a user gives is the one that runs: it is never copied, its attributes are
    there to be read after the fit, and what its ``state_dict`` returns goes into checkpoints.

    Args:
        on: The stage, a `TrainingStage` or its value such as ``"train_epoch_end"``.
        called_every: Run at every so many epochs, or batches on a batch stage; at the start and
            end of training it has no meaning.
        callback: ``f(trainer, config, writer)``, for those who need no subclass.
        callback_condition: ``f(opt_result) -> bool``; run only if true.
        modify_optimize_result: ``f(opt_result) -> opt_result``, applied to
            ``trainer.opt_result`` before the run; or a dict that is added to its ``extra``.

    Raises:
        CallbackError: An unknown stage, an interval below 1, a function that cannot be called
            like this, or nothing to run.
    """

    #: The stages that a subclass can run on.
    stages: ClassVar[frozenset[TrainingStage]] = frozenset(TrainingStage)
    #: Whether it saves the run; it runs after the others, whose state it saves too.
    saves_run: ClassVar[bool] = False

    def __init__(
        self,
        on: TrainingStage | str = TrainingStage.TRAIN_EPOCH_END,
        called_every: int = 1,
        callback: CallbackFunction | None = None,
        callback_condition: Condition | None = None,
        modify_optimize_result: Modifier | None = None,
    ) -> None:
        self.on = _stage(on)
        if self.on not in self.stages:
            allowed = ", ".join(sorted(self.stages))
            raise CallbackError(
                f"{type(self).__name__} cannot run on {self.on.value!r}; it runs on {allowed}."
            )
        self.called_every = check_count("called_every", called_every, 1)
        if callback is None and type(self).run_callback is Callback.run_callback:
            raise CallbackError(
                "This callback has nothing to run: pass callback=f, called as "
                "f(trainer, config, writer), or override run_callback in a subclass."
            )
        check_call(callback, "callback", ("trainer", "config", "writer"))
        check_call(callback_condition, "callback_condition", ("opt_result",))
        if not isinstance(modify_optimize_result, Mapping):
            check_call(modify_optimize_result, "modify_optimize_result", ("opt_result",))
        self.callback = callback
        self.callback_condition = callback_condition
        self.modify_optimize_result = modify_optimize_result

    def __call__(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Run now, if the condition holds."""
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
            trainer: The run: its model, optimizer, ``opt_result``, ``current_epoch``, ...
            config: Its settings; ``log_folder`` is the folder of this very run.
            writer: Its tracker.
        """
        assert self.callback is not None
        return self.callback(trainer, config, writer)

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Get ready for a fit; one that keeps state starts it over here.

        Args:
            trainer: The run, before its first stage.
            resumed: Whether `load_state_dict` has just put the state back; then it stays.
        """

    def end_run(self, trainer: TrainerContext) -> None:
        """Finish a fit that did not end in an error, before the stage ``train_end``."""

    def state_dict(self) -> dict[str, Any]:
        """What has to survive a resume: tensors, numbers, strings, lists and dicts of them."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""


def _stage(on: TrainingStage | str) -> TrainingStage:
    try:
        return TrainingStage(on)
    except ValueError:
        stages = [stage.value for stage in TrainingStage]
        close = get_close_matches(str(on), stages, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"stages are {', '.join(stages)}."
        raise CallbackError(f"There is no stage {on!r}; {hint}") from None


def _modified(modify: Callable[[OptimizeResult], Any], result: OptimizeResult) -> OptimizeResult:
    modified = modify(result)
    if isinstance(modified, OptimizeResult):
        return modified
    raise CallbackError(
        f"modify_optimize_result returned {type(modified).__name__}; it must return the "
        "OptimizeResult, changed or not."
    )


def check_call(function: Any, role: str, arguments: tuple[str, ...]) -> None:
    """Refuse a function of a user that cannot be called as it will be; ``None`` passes.

    Args:
        function: What was given.
        role: The name of the argument, for messages.
        arguments: What it will be called with.

    Raises:
        CallbackError: It cannot be called like this.
    """
    if function is None:
        return
    expected = f"{role}({', '.join(arguments)})"
    if not callable(function):
        raise CallbackError(
            f"Expected a function called as {expected}, got {type(function).__name__}."
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # some built-in functions do not tell
    try:
        signature.bind(*arguments)
    except TypeError:
        name = getattr(function, "__name__", type(function).__name__)
        raise CallbackError(
            f"{name}{signature} does not fit: it will be called as {expected}."
        ) from None
