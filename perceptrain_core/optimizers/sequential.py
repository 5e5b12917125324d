"""Several optimizers, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import Any

from torch import Tensor
from torch.optim import LBFGS, Optimizer
from torch.optim.optimizer import ParamsT

from perceptrain_core.errors import ConfigError, TrainingError
from perceptrain_core.optimizer_modes import begin_training, end_training
from perceptrain_core.optimizer_steps import handles_trials, needs_closure, needs_residuals
from perceptrain_core.optimizers.common_groups import (
    add_rates,
    common_groups,
    divided,
    hand_over_schedule,
    has_groups,
)
from perceptrain_core.optimizers.milestones import Milestone, Progress, read_milestones
from perceptrain_core.registry import get_optimizer
from perceptrain_core.user_warnings import warn_user


class SequentialOptimizer(Optimizer):
    """Several optimizers, one after the other, such as Adam and then `SSBroyden`.

    ::

        SequentialOptimizer(
            model.parameters(), [{"name": "adam", "lr": 1e-3}, "ssbroyden"], milestones=[1000]
        )

    A step is exactly that of the active optimizer. At a switch the state of the one before is
    discarded; a schedule-free one leaves the weights that it evaluates. The trainer calls
    `begin_epoch` and `end_epoch`; in your own training loop, call them yourself. If `begin_epoch`
    is never called, each step counts as an epoch, and each switch causes a warning.

    Groups and state are those of the active optimizer; if the optimizers have different groups of
    parameters, all have the same smaller ones. A learning-rate schedule of torch that multiplies a
    base rate, such as ``StepLR``, multiplies that of the active optimizer. ``state_dict()``
    contains the whole state, including the milestones.

    Args:
        params: The parameters, or groups of them.
        optimizers: Names, mappings ``{"name": ..., **options}``, or optimizers of all of these
            parameters.
        milestones: For each optimizer but the last, when the next one follows: the number of the
            last epoch, counted from 1; or ``{"patience": 10, "threshold": 1e-4}``, after more than
            ``patience`` epochs in which the mean training loss is not lower than the best one by
            the share ``threshold`` of it.

    Attributes:
        stages: The optimizers. All but the active one are as they were created.

    Raises:
        ConfigError: The milestones do not fit.
        TrainingError: An optimizer cannot be part of a sequence, the optimizers have different
            parameters, or there are several groups of parameters and L-BFGS is among them.
        RegistryError: A name is unknown, or an option does not fit.
    """

    def __init__(
        self,
        params: ParamsT,
        optimizers: Sequence[str | Mapping[str, Any] | Optimizer],
        milestones: Sequence[int | Mapping[str, float]],
    ) -> None:
        owner = type(self).__name__
        checked = read_milestones(milestones, owner)
        if not optimizers or len(checked) != len(optimizers) - 1:
            raise ConfigError(
                f"{owner} has {len(optimizers)} optimizers and {len(checked)} milestones; "
                "expected one milestone between two optimizers."
            )
        stages = _with_common_groups(_lists(params), optimizers, owner)
        # Not kept in the groups: a switch replaces them, and an optimizer may read any key there.
        self._progress = Progress.start(checked)
        self._counted_steps: int | None = 0  # None once begin_epoch was called
        first = stages[0].defaults
        every = {key: v for stage in reversed(stages) for key, v in stage.defaults.items()}
        # Schedules that cycle the momentum look here for its name in the groups.
        defaults = {key: v for key, v in every.items() if key not in ("momentum", "betas")} | first
        self.stages: list[Optimizer] = []
        super().__init__([{"params": g["params"]} for g in stages[0].param_groups], defaults)
        self.stages = stages
        self._unused = _copy(self.active)
        self._share()
        self._go_to(self._progress.at(1))

    @property
    def active(self) -> Optimizer:
        """The optimizer that takes the next step."""
        return self.stages[self._progress.stage]

    @property
    def milestones(self) -> list[Milestone]:
        """When the next optimizer follows, for each but the last."""
        return self._progress.milestones

    @property
    def needs_closure(self) -> bool:
        """Whether the next step needs a closure, as the steps of L-BFGS do."""
        return needs_closure(self.active)

    @property
    def needs_residuals(self) -> bool:
        """Whether the next step needs the residuals of the loss, as Gauss-Newton does."""
        return needs_residuals(self.active)

    @property
    def handles_trials(self) -> bool:
        """Whether the active optimizer deals with losses that are not finite at trial points."""
        return handles_trials(self.active)

    def begin_epoch(self, epoch: int) -> None:
        """Select the optimizer of an epoch, counted from 1.

        If the epoch is earlier than the last one, its optimizer is reset to its initial state. In
        the first epoch, a learning-rate schedule has no effect on it yet.
        """
        self._counted_steps = None
        self._go_to(self._progress.at(epoch))

    def end_epoch(self, loss: float) -> None:
        """Note the mean training loss of an epoch, from which a plateau is recognized."""
        self._progress = self._progress.after(loss)

    def train(self) -> None:
        """Switch to the weights that the active optimizer trains, if it evaluates others."""
        begin_training(self.active)

    def eval(self) -> None:
        """Switch to the weights that the active optimizer evaluates, if it trains others."""
        end_training(self.active)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step of the active optimizer.

        Args:
            closure: Clears the gradients, computes the loss and its gradients, and returns the
                loss. Optimizers such as Adam do not need it if the gradients are set.

        Returns:
            The loss before the step, as returned by the closure; ``None`` without a closure.

        Raises:
            TrainingError: The active optimizer needs a closure, and there is none.

        Warns:
            UserWarning: This step switches to another optimizer, and `begin_epoch` was never
                called.
        """
        self._count_step()
        active: Any = self.active
        if closure is None and self.needs_closure:
            raise TrainingError(
                f"{type(self).__name__} has switched to {type(active).__name__}, which evaluates "
                "the loss several times per step: call step(closure) with a function that clears "
                "the gradients, computes the loss, calls its backward(), and returns it."
            )
        return active.step() if closure is None else active.step(closure)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters to each optimizer; options of the group apply to all that have them.

        Raises:
            TrainingError: One of the optimizers does not accept them, as L-BFGS, which has one
                group only.
        """
        if not self.stages:  # the constructor of torch
            super().add_param_group(param_group)
            return
        _refuse_groups(self.stages, type(self).__name__)
        params = param_group["params"]
        given = [params] if isinstance(params, Tensor) else list(params)
        before = [(stage, len(stage.param_groups)) for stage in (*self.stages, self._unused)]
        try:
            for stage, _ in before:
                own = {key: value for key, value in param_group.items() if key in stage.defaults}
                stage.add_param_group(own | {"params": list(given)})
        except Exception:
            for stage, number in before:
                del stage.param_groups[number:]
            raise
        add_rates([*self.stages, self._unused])

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the active optimizer, and under ``"sequence"`` all else.

        That is the progress between the milestones, and the state of each optimizer before its
        first step.
        """
        unused = [self._unused if stage is self.active else stage for stage in self.stages]
        own = {
            "names": [type(stage).__name__ for stage in unused],
            "stages": [stage.state_dict() for stage in unused],
            "progress": asdict(self._progress),
            "counted_steps": self._counted_steps,
        }
        return {**self.active.state_dict(), "sequence": own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state from `state_dict`.

        Raises:
            ValueError: It belongs to another optimizer, or to a sequence of others.
        """
        own = state_dict.get("sequence", {"names": []})
        names = [type(stage).__name__ for stage in self.stages]
        if own["names"] != names:
            raise ValueError(
                f"The state is that of a sequence of {', '.join(own['names']) or 'nothing'}; "
                f"expected one of {', '.join(names)}."
            )
        self._leave()
        for stage, saved in zip(self.stages, own["stages"], strict=True):
            stage.load_state_dict(saved)
        self._progress = Progress(**deepcopy(own["progress"]))
        self._counted_steps = own["counted_steps"]
        self._unused = _copy(self.active)
        self.active.load_state_dict({k: v for k, v in state_dict.items() if k != "sequence"})
        self._share()

    def __getstate__(self) -> dict[str, Any]:
        own = ("stages", "_unused", "_progress", "_counted_steps")
        return super().__getstate__() | {name: getattr(self, name) for name in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.stages = list(map(_with_own_parameters, self.stages))
        self._unused = _with_own_parameters(self._unused)
        self._share()

    def _share(self) -> None:
        """Show the groups and the state of the active optimizer as those of this one."""
        self.param_groups, self.state = self.active.param_groups, self.active.state

    def _leave(self) -> None:
        """Replace the active optimizer by the copy from before its first step."""
        self.stages = [self._unused if each is self.active else each for each in self.stages]

    def _go_to(self, progress: Progress) -> bool:
        """Select the optimizer of an epoch; return whether it has changed."""
        if progress.stage == self._progress.stage:
            self._progress = progress
            return False
        self.eval()
        before = self.param_groups
        self._leave()
        self._progress = progress
        self._unused = _copy(self.active)
        self._share()
        if progress.epoch > 1:
            for old, new in zip(before, self.param_groups, strict=True):
                hand_over_schedule(old, new)
        self.train()
        return True

    def _count_step(self) -> None:
        """Count a step as an epoch in a loop that does not call `begin_epoch`."""
        if self._counted_steps is None:
            return
        self._counted_steps += 1
        if self._go_to(self._progress.at(self._counted_steps)):
            warn_user(
                f"{type(self).__name__} switches to {type(self.active).__name__} after "
                f"{self._counted_steps - 1} steps: begin_epoch was never called, so each step "
                "counted as an epoch. To count epochs, call optimizer.begin_epoch(epoch) at the "
                "start of each one, counted from 1.",
            )


def _lists(params: ParamsT) -> list[Any]:
    """Replace generators by lists, because several optimizers read the parameters."""
    given: list[Any] = list(params)
    for n, group in enumerate(given):
        if isinstance(group, dict) and not isinstance(own := group["params"], set):
            given[n] = group | {"params": [own] if isinstance(own, Tensor) else list(own)}
    return given


def _with_common_groups(params: list[Any], given: Sequence[Any], owner: str) -> list[Optimizer]:
    """Build the optimizers of a sequence, all with the same groups of parameters."""
    stages = [_built(each, params) for each in given]
    groups = common_groups(stages)
    if len(groups) > 1:
        _refuse_groups(stages, owner)
    own = params if isinstance(params[0], dict) else [{"params": params}]
    for number, (stage, each) in enumerate(zip(stages, given, strict=True)):
        if has_groups(stage, groups):
            continue
        # An optimizer may count its groups when it is created; Gauss-Newton accepts only one then.
        if isinstance(each, str | Mapping) and not needs_residuals(stage):
            stages[number] = stage = _built(each, divided(own, groups))
        if not has_groups(stage, groups):
            parts = divided(stage.param_groups, groups)
            stage.__setstate__({"state": stage.state, "param_groups": parts})
    add_rates(stages)
    return stages


def _built(optimizer: Any, params: list[Any]) -> Optimizer:
    if isinstance(optimizer, str | Mapping):
        own = [dict(group) if isinstance(group, dict) else group for group in params]
        optimizer = get_optimizer(optimizer, own)
    if not isinstance(optimizer, Optimizer) or hasattr(optimizer, "stages"):
        raise TrainingError(
            f"A sequence consists of optimizers of torch, and {type(optimizer).__name__} is none: "
            "a search, or another sequence, cannot be part of it. Leave it out."
        )
    return optimizer


def _refuse_groups(stages: Sequence[Optimizer], owner: str) -> None:
    if any(type(stage) is LBFGS for stage in stages):
        raise TrainingError(
            f"{owner} accepts one group of parameters only, because L-BFGS does: pass all "
            f"parameters, e.g. {owner}([*model.parameters(), *loss_fn.parameters()], ...)."
        )


def _copy(optimizer: Optimizer) -> Optimizer:
    """Copy an optimizer with all attributes, of which torch leaves some out; not its parameters."""
    known: dict[int, Any] = {id(p): p for g in optimizer.param_groups for p in g["params"]}
    twin = object.__new__(type(optimizer))
    # Hooks stay the same functions.
    hooks = {name: value for name, value in vars(optimizer).items() if name[:11] == "_optimizer_"}
    known |= {id(value): value for value in hooks.values()}
    vars(twin).update(deepcopy(vars(optimizer), known))
    return twin


def _with_own_parameters(optimizer: Optimizer) -> Optimizer:
    """Return the copy of an optimizer; that of L-BFGS by ``deepcopy`` has no parameters."""
    if type(optimizer) is not LBFGS:
        return optimizer
    whole = LBFGS(optimizer.param_groups[0]["params"])
    whole.__setstate__({"state": optimizer.state, "param_groups": optimizer.param_groups})
    return whole
