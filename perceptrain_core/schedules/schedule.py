"""Learning-rate schedules: any scheduler of torch by its name, stepped and saved with a run."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau, SequentialLR

from perceptrain_core.errors import CheckpointError, ConfigError, OptionError, TrainingError
from perceptrain_core.registry.messages import did_you_mean
from perceptrain_core.schedules.plan import PER_BATCH, SchedulerPlan, read_plan
from perceptrain_core.schedules.rates import begin_epoch, set_rate
from perceptrain_core.schedules.scheduler_state import full_state, plain_state


def make_schedule(
    given: Any,
    optimizer: Optimizer,
    *,
    epochs: int,
    steps_per_epoch: int | None,
    validates: bool = False,
) -> Schedule:
    """Make the learning-rate schedule of a run.

    Its length is filled in from the run where it is not given: ``T_max`` of ``cosine_annealing``,
    ``total_steps`` of ``one_cycle`` (unless ``epochs`` and ``steps_per_epoch`` are) and
    ``total_iters`` of ``polynomial``, in epochs or steps as the interval says; inside
    ``sequential`` they last from one milestone to the next. All other defaults are those of torch:
    a ``linear`` warm-up takes 5 steps.

    An optimizer that had a schedule before starts again from its initial rates. To resume, load
    the states of both afterwards, in any order: each holds what is its own.

    Args:
        given: A name (``"one_cycle"`` or ``"OneCycleLR"``), a reference, a mapping
            ``{"name": ..., **options}``, a class, or a function ``f(optimizer)``. Every scheduler
            has the option ``interval``, ``"epoch"`` or ``"batch"`` (after each step of the
            optimizer); by default what torch says of that scheduler. ``reduce_on_plateau`` has
            ``monitor``, a metric of the history; by default ``"val_loss"`` in a run that
            validates, else ``"train_loss"``. The values of options may be references, too.
        optimizer: The optimizer; its rates are set to those of the first step.
        epochs: How many epochs the run has in all.
        steps_per_epoch: How many steps of the optimizer an epoch has, if that is known.
        validates: Whether the run has validations.

    Raises:
        UnknownNameError: torch has none of the name.
        OptionError: An option is unknown, missing or wrong, or does not fit the optimizer.
        TargetError: A reference cannot be loaded, or what was given makes no scheduler.
        ConfigError: The length is not known, or too short for the run.
        TrainingError: The optimizer has no learning rates.
    """
    plan = read_plan(given, extra=("interval", "monitor"))
    interval, monitor = plan.options.pop("interval", None), plan.options.pop("monitor", None)
    if interval not in (None, "epoch", "batch"):
        raise OptionError(f"{plan.label}: interval must be 'epoch' or 'batch', not {interval!r}.")
    _restart(optimizer)
    rates = [deepcopy(group["lr"]) for group in optimizer.param_groups]
    all_steps = None if steps_per_epoch is None else epochs * steps_per_epoch
    per_batch = plan.per_batch if interval is None else interval == "batch"
    scheduler = plan.make(optimizer, all_steps if per_batch else epochs)
    _remember(optimizer, rates)
    if interval is None:  # what a function made is known only now
        per_batch = _is_per_batch(scheduler)
    monitor = _check_monitor(plan, scheduler, monitor, per_batch, validates)
    # What its order of calls warns of is right here: also when a resumed run begins with a step.
    optimizer._opt_called = True  # type: ignore[attr-defined]
    length = all_steps if per_batch else epochs
    return Schedule(plan.label, scheduler, per_batch, monitor, length)


class Schedule:
    """A scheduler of torch in a run.

    Args:
        label: How to call it in messages.
        scheduler: The scheduler, just made.
        per_batch: Whether it steps after each optimizer step; else after each epoch.
        monitor: The metric that it looks at, or ``None``.
        steps: How many steps the run has for it, if that is known.

    Raises:
        ConfigError: The scheduler ends before the run.
        OptionError: Its state cannot be saved.
    """

    def __init__(
        self,
        label: str,
        scheduler: LRScheduler,
        per_batch: bool,
        monitor: str | None,
        steps: int | None,
    ) -> None:
        self.scheduler: Any = scheduler
        self.per_batch = per_batch
        self.monitor = monitor
        self._label = label
        self._steps = steps
        last = _last_step(scheduler)
        if last is not None and steps is not None and last < steps:
            raise ConfigError(
                f"{label} has total_steps={last}, and the run takes {steps} "
                f"{self._unit}: it cannot go on after its end. Leave total_steps out, and it is "
                "filled in."
            )
        try:
            scheduler.state_dict()
        except Exception as error:
            raise OptionError(
                f"{label} has a state that cannot be saved: {error}. Functions that it is given "
                "are to be functions of Python, or objects of a class."
            ) from error

    @property
    def _unit(self) -> str:
        return "steps" if self.per_batch else "epochs"

    def step_batch(self) -> None:
        """Say that the optimizer has taken a step."""
        if self.per_batch:
            self.scheduler.step()

    def step_epoch(self, row: Mapping[str, float]) -> None:
        """Say that an epoch is over.

        Args:
            row: Its metrics, under the names of the history.

        Raises:
            ConfigError: They do not have the one that is monitored, and no validation is to come.
        """
        if self.per_batch:
            return
        if self.monitor is None:
            self.scheduler.step()
        elif self.monitor in row:
            self.scheduler.step(row[self.monitor])
        elif not self.monitor.startswith("val_") or any(name.startswith("val_") for name in row):
            raise ConfigError(
                f"{self._label} monitors {self.monitor!r}, which this run does not have."
                f"{did_you_mean(self.monitor, row)} Its metrics are: {', '.join(row)}."
            )

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, in plain values: functions among its options are left out."""
        return {
            "kind": type(self.scheduler).__name__,
            "unit": self._unit,
            "last_step": _last_step(self.scheduler),
            "scheduler": plain_state(self.scheduler.state_dict()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there, with the options of then; functions are those of now.

        Raises:
            CheckpointError: See `check_state`; then nothing has changed.
        """
        self.check_state(state)
        self.scheduler.load_state_dict(full_state(self.scheduler.state_dict(), state["scheduler"]))

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Refuse a state that this schedule cannot go on from.

        Raises:
            CheckpointError: It is that of another kind, or of a shorter run that it was made for.
        """
        kind = type(self.scheduler).__name__
        if (kind, self._unit) != (state["kind"], state["unit"]):
            raise CheckpointError(
                f"The run was made with the learning-rate scheduler {state['kind']}, counting "
                f"{state['unit']}; it cannot go on with {kind}, counting {self._unit}. Resume "
                "with the lr_scheduler that it had."
            )
        last = state["last_step"]
        if last is not None and self._steps is not None and last < self._steps:
            raise CheckpointError(
                f"{self._label} was made for total_steps={last}, and the run is to have "
                f"{self._steps} {self._unit} now: it cannot go on after its end. Resume with the "
                "max_iter, batch_size and accumulate that it had, or start a new run."
            )


def _restart(optimizer: Optimizer) -> None:
    """Put the rates back to where the first schedule of an optimizer found them."""
    if not isinstance(optimizer, Optimizer) or any("lr" not in g for g in optimizer.param_groups):
        raise TrainingError(
            f"lr_scheduler sets learning rates, and {type(optimizer).__name__} has none: use an "
            "optimizer of torch.optim, or leave lr_scheduler out."
        )
    begin_epoch(optimizer, 1)
    for group in optimizer.param_groups:
        # Without it torch begins as with a new optimizer: CyclicLR would not start at its base.
        set_rate(group, group.pop("initial_lr", group["lr"]))


def _remember(optimizer: Optimizer, rates: list[Any]) -> None:
    """Keep the rates for the next schedule, where torch has not: for reduce_on_plateau."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group.setdefault("initial_lr", rate)


def _parts(scheduler: LRScheduler) -> list[LRScheduler]:
    return list(getattr(scheduler, "_schedulers", ()))


def _is_per_batch(scheduler: LRScheduler) -> bool:
    return isinstance(scheduler, PER_BATCH) or any(map(_is_per_batch, _parts(scheduler)))


def _last_step(scheduler: LRScheduler) -> int | None:
    """Give the number of steps after which a scheduler refuses to go on, if there is one."""
    if isinstance(scheduler, SequentialLR):  # its parts do not begin with it
        return None
    own = getattr(scheduler, "total_steps", None)
    found = [own, *map(_last_step, _parts(scheduler))]
    return min((last for last in found if last is not None), default=None)


def _check_monitor(
    plan: SchedulerPlan,
    scheduler: LRScheduler,
    monitor: Any,
    per_batch: bool,
    validates: bool,
) -> str | None:
    if not isinstance(scheduler, ReduceLROnPlateau):
        if monitor is not None:
            raise OptionError(f"{plan.label} looks at no metric: leave monitor={monitor!r} out.")
        return None
    if per_batch:
        raise OptionError(f"{plan.label} looks at the metrics of an epoch: interval='epoch'.")
    if monitor is None:
        return "val_loss" if validates else "train_loss"
    if not isinstance(monitor, str):
        raise OptionError(f"{plan.label}: monitor must be the name of a metric, not {monitor!r}.")
    if monitor.startswith("val_") and not validates:
        raise OptionError(
            f"{plan.label} monitors {monitor!r}, and this run has no validations: set val_every."
        )
    return monitor
