"""Who is told what: hooks of the trainer and callbacks, by stage, and only those who asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.registry import get_callback
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.training.hooks import TrainerHooks
from perceptrain_core.types import TrainingStage

_UNCOUNTED = {TrainingStage.TRAIN_START, TrainingStage.TRAIN_END}


class Events:
    """Tell the hooks and callbacks of a run that a stage is reached.

    Args:
        trainer: Whose hooks are called, and what callbacks are given.
        callbacks: In the order in which they run.
        config: The settings of this run, given to callbacks.
        tracker: Its tracker, given to callbacks.
    """

    def __init__(
        self,
        trainer: Any,
        callbacks: Iterable[Callback],
        config: TrainConfig,
        tracker: Tracker,
    ) -> None:
        self._trainer = trainer
        self._config = config
        self._tracker = tracker
        self._listeners: dict[TrainingStage, list[Callback]] = {}
        self._savers: dict[TrainingStage, list[Callback]] = {}
        for callback in callbacks:
            group = self._savers if callback.saves_run else self._listeners
            group.setdefault(callback.on, []).append(callback)
        # Stages that nobody asked for are missing: the loop looks once, and does nothing.
        overridden = {stage for stage in TrainingStage if _overridden(trainer, stage)}
        self._stages = overridden | set(self._listeners) | set(self._savers)

    def __contains__(self, stage: TrainingStage) -> bool:
        """Whether anybody asked for a stage."""
        return stage in self._stages

    def tell(self, stage: TrainingStage, count: int, *arguments: Any, savers: bool = True) -> None:
        """Call the hook with the arguments, then the callbacks whose turn it is.

        Args:
            stage: What is reached.
            count: The epoch, or on a batch stage the batch, counted from 1: in training over the
                whole run, else over one validation or test.
            arguments: For the hook.
            savers: Whether those that save the run hear of it; they come last.
        """
        if stage not in self._stages:
            return
        self._call_hook(stage, *arguments)
        self._run(self._listeners.get(stage, ()), stage, count)
        if savers:
            self.tell_savers(stage, count)

    def tell_savers(self, stage: TrainingStage, count: int) -> None:
        """Call those whose turn it is of the callbacks that save the run."""
        self._run(self._savers.get(stage, ()), stage, count)

    def tell_each(
        self,
        stage: TrainingStage,
        batches: Sequence[tuple[int, Any]],
        show: Callable[[Any], None] = lambda batch: None,
    ) -> None:
        """Tell of the batches of a step, one after the other; who saves the run hears of it last.

        Args:
            stage: What is reached.
            batches: For each its count and the argument of the hook.
            show: Called with that argument before anybody hears of it.
        """
        for count, batch in batches:
            show(batch)
            self.tell(stage, count, batch, savers=False)
        for count, _ in batches:
            self.tell_savers(stage, count)

    def _call_hook(self, stage: TrainingStage, *arguments: Any) -> None:
        hook = getattr(self._trainer, f"on_{stage.value}", None)
        if hook is not None:
            hook(*arguments)

    def _run(self, callbacks: Iterable[Callback], stage: TrainingStage, count: int) -> None:
        for callback in callbacks:
            if stage in _UNCOUNTED or count % callback.called_every == 0:
                callback(self._trainer, self._config, self._tracker)


def _overridden(trainer: Any, stage: TrainingStage) -> bool:
    name = f"on_{stage.value}"
    hook = getattr(trainer, name, None)
    return getattr(hook, "__func__", hook) is not getattr(TrainerHooks, name, None)


def as_callback(item: Any) -> Callback:
    """Give the callback that a user means: an object as it is, a name or mapping resolved.

    Raises:
        CallbackError: It is no callback.
    """
    callback = get_callback(item) if isinstance(item, str | dict) else item
    if isinstance(callback, Callback):
        return callback
    if isinstance(callback, type):
        expected = f"an object: pass {callback.__name__}(...), not the class"
    elif callable(callback):
        expected = "a Callback: wrap the function, Callback(on='train_epoch_end', callback=f)"
    else:
        expected = "a Callback, the name of one, or a mapping {'name': ..., **options}"
    raise CallbackError(f"config.callbacks holds {callback!r}; expected {expected}.")
