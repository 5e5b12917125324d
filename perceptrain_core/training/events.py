"""Events: at each stage, call the trainer's hook, then the callbacks of the stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

from perceptrain_core.callbacks import Callback
from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.hooks import TrainerHooks
from perceptrain_core.types import TrainingStage

_UNCOUNTED = {TrainingStage.TRAIN_START, TrainingStage.TRAIN_END}


class Events:
    """Notify the trainer's hooks and the callbacks of each stage.

    Callbacks that save the run are called after all others, so that they save the final state of
    the others.

    Args:
        trainer: Its hooks are called, and callbacks receive it.
        config: Passed to callbacks; its ``log_folder`` is the folder of this run.
        tracker: Passed to callbacks.
    """

    def __init__(self, trainer: TrainingContext, config: TrainConfig, tracker: Tracker) -> None:
        self._trainer = trainer
        self._config = config
        self._tracker = tracker
        self._listeners: dict[TrainingStage, list[Callback]] = {}
        self._savers: dict[TrainingStage, list[Callback]] = {}
        for callback in trainer.resolved_callbacks:
            group = self._savers if callback.saves_run else self._listeners
            group.setdefault(callback.on, []).append(callback)
        self._overridden = {stage for stage in TrainingStage if _is_overridden(trainer, stage)}
        #: The stages with a hook or a callback; the loop skips all others.
        self.stages = self._overridden | set(self._listeners) | set(self._savers)

    def notify(
        self,
        stage: TrainingStage,
        count: int,
        *arguments: Any,
        savers: bool = True,
        between: Callable[[], None] | None = None,
    ) -> None:
        """Call the hook of a stage, then the callbacks that are due.

        Args:
            stage: The stage.
            count: The epoch, or on batch stages the batch, counted from 1. Training batches are
                counted over the whole run, validation and test batches over one pass.
            arguments: Arguments of the hook.
            savers: Whether to call the callbacks that save the run, too.
            between: Called after the hook and after each callback.
        """
        if stage not in self.stages:
            return
        if stage in self._overridden:
            with self._trainer.engine.whole():
                getattr(self._trainer, f"on_{stage.value}")(*arguments)
            if between is not None:
                between()
        self._run(self._listeners.get(stage, ()), stage, count, between)
        if savers:
            self.notify_savers(stage, count, between)

    def notify_savers(
        self, stage: TrainingStage, count: int, between: Callable[[], None] | None = None
    ) -> None:
        """Call the callbacks that save the run, if they are due, and ``between`` after each."""
        self._run(self._savers.get(stage, ()), stage, count, between)

    def notify_batch_savers(self, stage: TrainingStage, batches: Sequence[tuple[int, Any]]) -> None:
        """Call the callbacks that save the run, for each batch of a step."""
        for count, _ in batches:
            self.notify_savers(stage, count)

    def _run(
        self,
        callbacks: Iterable[Callback],
        stage: TrainingStage,
        count: int,
        between: Callable[[], None] | None,
    ) -> None:
        for callback in callbacks:
            if stage in _UNCOUNTED or callback.is_due(count, self._trainer):
                with self._trainer.engine.whole() if callback.uses_model else nullcontext():
                    callback(self._trainer, self._config, self._tracker)
                if between is not None:
                    between()


def _is_overridden(trainer: TrainingContext, stage: TrainingStage) -> bool:
    name = f"on_{stage.value}"
    hook = getattr(trainer, name, None)
    return getattr(hook, "__func__", hook) is not getattr(TrainerHooks, name, None)
