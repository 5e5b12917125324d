"""Use any scheduler of torch: created by name, stepped by the trainer, saved in checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau, SequentialLR

from perceptrain_core.errors import CheckpointError, ConfigError, OptionError
from perceptrain_core.option_checks import check_choice
from perceptrain_core.registry.messages import one_line
from perceptrain_core.schedules.monitored import awaits_validation, no_such_metric
from perceptrain_core.schedules.plan import PER_BATCH, SchedulerPlan, read_plan
from perceptrain_core.schedules.rates import rate_groups, set_rate
from perceptrain_core.schedules.scheduler_state import full_state, plain_state

#: The rate before a schedule that multiplies no base rate, whose factor the next optimizer of a
#: sequence does not take over: it starts at its own rate.
_BEFORE = "lr_before_schedule"


def make_schedule(
    setting: Any,
    optimizer: Optimizer,
    *,
    epochs: int,
    steps_per_epoch: int | None,
    max_steps: int | None = None,
    validates: bool = False,
) -> Schedule:
    """Build the learning-rate schedule of a run.

    Lengths that are not set are filled in from the run: ``T_max`` of ``cosine_annealing``,
    ``total_steps`` of ``one_cycle`` (unless ``epochs`` and ``steps_per_epoch`` are set) and
    ``total_iters`` of ``polynomial``, in epochs or steps depending on ``interval``. Inside
    ``sequential`` they last from one milestone to the next. All other defaults are torch's: a
    ``linear`` warm-up lasts 5 steps.

    If the optimizer had a schedule before, it starts again from its initial rates. To resume, load
    the states of the optimizer and the schedule afterwards, in any order.

    Args:
        setting: A name (``"one_cycle"`` or ``"OneCycleLR"``), a reference, a mapping
            ``{"name": ..., **options}``, a class, or a function ``f(optimizer)``. Every scheduler
            has the option ``interval``, ``"epoch"`` or ``"batch"`` (after each optimizer step);
            the default is what the documentation of torch says about the scheduler.
            ``reduce_on_plateau`` also has ``monitor``, a metric of the history; the default is
            ``"val_loss"`` if the run validates, otherwise ``"train_loss"``. Option values may be
            references, too.
        optimizer: The optimizer; its rates are set to those of the first step.
        epochs: The number of epochs of the run.
        steps_per_epoch: The number of optimizer steps per epoch, if known.
        max_steps: The maximum number of optimizer steps of the run.
        validates: Whether the run has validations.

    Raises:
        UnknownNameError: torch has no scheduler of this name.
        OptionError: An option is unknown, missing or wrong, or does not fit the optimizer.
        TargetError: A reference cannot be loaded, or the target does not return a scheduler.
        ConfigError: The length is unknown, or too short for the run.
        TrainingError: The optimizer has no learning rates.
    """
    plan = read_plan(setting, extra=("interval", "monitor"))
    interval, monitor = plan.options.pop("interval", None), plan.options.pop("monitor", None)
    if interval is not None:
        check_choice("interval", interval, ("epoch", "batch"), owner=plan.label, error=OptionError)
    _restore_initial_rates(optimizer)
    rates = [deepcopy(group["lr"]) for group in optimizer.param_groups]
    all_steps = max_steps if steps_per_epoch is None else epochs * steps_per_epoch
    if max_steps is not None and all_steps is not None:
        all_steps = min(all_steps, max_steps)
    per_batch = plan.per_batch if interval is None else interval == "batch"
    scheduler = plan.make(optimizer, all_steps if per_batch else epochs)
    _save_initial_rates(optimizer, rates)
    if interval is None:  # unknown for a function until it has returned the scheduler
        per_batch = _is_per_batch(scheduler)
    monitor = _check_monitor(plan, scheduler, monitor, per_batch, validates)
    # torch would warn about the order of calls when a resumed run starts with a scheduler step.
    optimizer._opt_called = True  # type: ignore[attr-defined]
    length = all_steps if per_batch else epochs
    return Schedule(plan.label, scheduler, per_batch, monitor, length)


class Schedule:
    """A scheduler of torch in a run.

    Args:
        label: How to call it in messages.
        scheduler: The scheduler, newly created.
        per_batch: Whether it steps after each optimizer step; else after each epoch.
        monitor: The metric that it monitors, or ``None``.
        steps: The number of scheduler steps of the run, if known.

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
                f"{label} has total_steps={last}, but the run has {steps} {self._unit}: a "
                "scheduler cannot be stepped past its end. Leave total_steps out to use "
                "the length of the run."
            )
        try:
            scheduler.state_dict()
        except Exception as error:
            raise OptionError(
                f"The state of {label} cannot be saved: {error}. Pass Python functions or callable "
                "objects as its function options."
            ) from error

    @property
    def _unit(self) -> str:
        return "steps" if self.per_batch else "epochs"

    def step_batch(self) -> None:
        """Step after an optimizer step, if the interval is ``"batch"``.

        Raises:
            OptionError: An option does not fit.
        """
        if self.per_batch:
            self._step()

    def step_epoch(self, row: Mapping[str, float]) -> None:
        """Step after an epoch, if the interval is ``"epoch"``.

        Args:
            row: The metrics of the epoch, under their names in the history.

        Raises:
            ConfigError: The run does not have the monitored metric.
            OptionError: An option does not fit.
        """
        if self.per_batch:
            return
        if self.monitor is None:
            self._step()
        elif self.monitor in row:
            self._step(row[self.monitor])
        elif not awaits_validation(self.monitor, row):
            raise ConfigError(no_such_metric(self._label, self.monitor, row))

    def follow_optimizer(self) -> None:
        """Go on with the rates of the optimizer that has become active in a sequence.

        The factor of a schedule then multiplies the rate of that optimizer. The rates of
        ``one_cycle`` and ``cyclic`` are their own.
        """
        groups = self.scheduler.optimizer.param_groups
        if isinstance(self.scheduler, PER_BATCH):
            for group, rate in zip(groups, self.scheduler.get_last_lr(), strict=True):
                set_rate(group, rate)
        for scheduler in _with_parts(self.scheduler):
            if not isinstance(scheduler, (*PER_BATCH, ReduceLROnPlateau)):
                scheduler.base_lrs = [group["initial_lr"] for group in groups]

    def _step(self, *metrics: float) -> None:
        try:
            self.scheduler.step(*metrics)
        except Exception as error:  # torch checks few options when a scheduler is created
            raise OptionError(
                f"{self._label} cannot be stepped: {one_line(error)}. Check its options."
            ) from error

    def state_dict(self) -> dict[str, Any]:
        """Return the state in plain values; functions among the options are left out."""
        return {
            "kind": type(self.scheduler).__name__,
            "unit": self._unit,
            "last_step": _last_step(self.scheduler),
            "scheduler": plain_state(self.scheduler.state_dict()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state and its options, but keep the functions of this scheduler.

        Raises:
            CheckpointError: See `check_state`; the schedule is then unchanged.
        """
        self.check_state(state)
        self.scheduler.load_state_dict(full_state(self.scheduler.state_dict(), state["scheduler"]))

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Refuse a state that this schedule cannot resume from.

        Raises:
            CheckpointError: It belongs to another kind of scheduler, or to a shorter run.
        """
        kind = type(self.scheduler).__name__
        if (kind, self._unit) != (state["kind"], state["unit"]):
            raise CheckpointError(
                f"The run was started with the learning-rate scheduler {state['kind']}, stepped by "
                f"{state['unit']}; it cannot be resumed with {kind}, stepped by {self._unit}. "
                "Resume with the original lr_scheduler."
            )
        last = state["last_step"]
        if last is not None and self._steps is not None and last < self._steps:
            raise CheckpointError(
                f"{self._label} was made for total_steps={last}, but the run now has "
                f"{self._steps} {self._unit}: a scheduler cannot be stepped past its end. Resume "
                "with the original max_iter, max_steps, batch_size and accumulate, or start a new "
                "run."
            )


def _restore_initial_rates(optimizer: Optimizer) -> None:
    """Reset the rates to those before the first schedule of the optimizer."""
    groups = rate_groups(optimizer, "lr_scheduler")
    for group in groups:
        # With an initial_lr, torch resumes: CyclicLR would not start at its base.
        rate = group.pop("initial_lr", group["lr"])
        set_rate(group, group.pop(_BEFORE, rate))


def _save_initial_rates(optimizer: Optimizer, rates: list[Any]) -> None:
    """Save the rates for the next schedule where torch does not (``reduce_on_plateau``)."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if "initial_lr" not in group:
            group[_BEFORE] = rate


def _parts(scheduler: LRScheduler) -> list[LRScheduler]:
    return list(getattr(scheduler, "_schedulers", ()))


def _with_parts(scheduler: LRScheduler) -> list[LRScheduler]:
    inner = [each for part in _parts(scheduler) for each in _with_parts(part)]
    return [scheduler, *inner]


def _is_per_batch(scheduler: LRScheduler) -> bool:
    return isinstance(scheduler, PER_BATCH) or any(map(_is_per_batch, _parts(scheduler)))


def _last_step(scheduler: LRScheduler) -> int | None:
    """Return the number of steps after which the scheduler raises, or ``None``."""
    if isinstance(scheduler, SequentialLR):  # its parts start later
        return None
    own = getattr(scheduler, "total_steps", None)
    ends = [own, *map(_last_step, _parts(scheduler))]
    return min((end for end in ends if end is not None), default=None)


def _check_monitor(
    plan: SchedulerPlan,
    scheduler: LRScheduler,
    monitor: Any,
    per_batch: bool,
    validates: bool,
) -> str | None:
    if not isinstance(scheduler, ReduceLROnPlateau):
        if monitor is not None:
            raise OptionError(f"{plan.label} does not use a metric: leave monitor={monitor!r} out.")
        return None
    if per_batch:
        raise OptionError(f"{plan.label} uses the metrics of an epoch: set interval='epoch'.")
    if monitor is None:
        return "val_loss" if validates else "train_loss"
    if not isinstance(monitor, str):
        raise OptionError(f"{plan.label}: monitor must be the name of a metric, not {monitor!r}.")
    if monitor.startswith("val_") and not validates:
        raise OptionError(
            f"{plan.label} monitors {monitor!r}, but this run has no validations: set val_every."
        )
    return monitor
