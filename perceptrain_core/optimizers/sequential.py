"""Several optimizers, one after the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import LBFGS, Optimizer
from torch.optim.optimizer import ParamsT

from perceptrain_core.errors import ConfigError, TrainingError
from perceptrain_core.optimizer_modes import begin_training, end_training
from perceptrain_core.optimizer_steps import handles_trials, needs_closure, needs_residuals
from perceptrain_core.optimizers.common_groups import common_groups
from perceptrain_core.optimizers.milestones import Milestone, Plateau, read_milestones
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

    The parameter groups are those of the active optimizer; if the optimizers have different ones,
    they are divided further. ``lr`` is the learning rate of the active optimizer, so learning-rate
    schedules work. ``state_dict()`` contains the whole state, including the milestones.

    Args:
        params: The parameters, or groups of them.
        optimizers: Names, mappings ``{"name": ..., **options}``, or optimizers of all of these
            parameters.
        milestones: For each optimizer but the last, when the next one follows: the number of the
            last epoch, counted from 1; or ``{"patience": 10, "threshold": 1e-4}``, after more than
            ``patience`` epochs in which the mean training loss is not lower than the best one by
            the share ``threshold`` of it.

    Attributes:
        stages: The optimizers.

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
        given = list(params)
        self.stages = [_built(each, given) for each in optimizers]
        checked = read_milestones(milestones, owner)
        if not self.stages or len(checked) != len(self.stages) - 1:
            raise ConfigError(
                f"{owner} has {len(self.stages)} optimizers and {len(checked)} milestones; "
                "expected one milestone between two optimizers."
            )
        groups = [self._group(*each) for each in common_groups(self.stages)]
        groups[0] |= {
            "stage": 0,
            "milestones": checked,
            # The last epoch of each stage, as far as it is known.
            "ends": [end if isinstance(end, int) else None for end in checked],
            "epoch": 0,
            "counted_steps": 0,  # None once begin_epoch was called
        }
        Plateau(groups[0]).reset()
        # A scheduler of torch adds the last one.
        self._keys = {*groups[0], "initial_lr"}
        defaults: dict[str, Any] = {}
        for stage in reversed(self.stages):
            defaults |= stage.defaults
        super().__init__(groups, defaults)
        self._share()
        self._select(1)

    @property
    def active(self) -> Optimizer:
        """The optimizer that takes the next step."""
        stage: int = self.param_groups[0]["stage"]
        return self.stages[stage]

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

        Going back to an earlier epoch goes back to its optimizer, with the learning rate that it
        had at first.
        """
        memory = self.param_groups[0]
        memory["counted_steps"], memory["epoch"] = None, epoch
        pairs = zip(memory["milestones"], memory["ends"], strict=True)
        memory["ends"] = [
            None if end is None or (milestone != end and end >= epoch) else end
            for milestone, end in pairs
        ]
        if epoch == 1:
            Plateau(memory).reset()
        self._select(epoch)

    def end_epoch(self, loss: float) -> None:
        """Note the mean training loss of an epoch, from which a plateau is recognized."""
        memory = self.param_groups[0]
        stage = memory["stage"]
        milestone: Milestone = [*memory["milestones"], 0][stage]
        if isinstance(milestone, dict) and Plateau(memory).is_reached(loss, **milestone):
            memory["ends"] = [
                memory["epoch"] if n == stage else end for n, end in enumerate(memory["ends"])
            ]

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
        """Add parameters, for which each optimizer has its default options.

        Raises:
            TrainingError: One of the optimizers is L-BFGS, which accepts one group only.
        """
        if self.param_groups and any(type(stage) is LBFGS for stage in self.stages):
            name = type(self).__name__
            raise TrainingError(
                f"{name} accepts one group of parameters only, because L-BFGS does: pass all "
                f"parameters, e.g. {name}([*model.parameters(), *loss_fn.parameters()], ...)."
            )
        options = [stage.defaults for stage in self.stages]
        super().add_param_group(self._group([], options) | param_group)

    def state_dict(self) -> dict[str, Any]:
        """Return the state, as the active optimizer saves it."""
        return self.active.state_dict()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "stages": self.stages, "_keys": self._keys}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # load_state_dict calls this too, with new groups and a new state.
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Make the active optimizer use the groups and the state of this one, and no other."""
        for number, stage in enumerate(self.stages):
            if number != self.param_groups[0]["stage"]:
                stage.__setstate__({"state": defaultdict(dict), "param_groups": []})
                continue
            if type(stage) is LBFGS:  # a copy of it has no parameters
                stage = self.stages[number] = LBFGS(self.param_groups[0]["params"])
            stage.__setstate__({"state": self.state, "param_groups": self.param_groups})

    def _select(self, epoch: int) -> bool:
        """Select the optimizer of an epoch; return whether it has changed."""
        memory = self.param_groups[0]
        ended = [n for n, end in enumerate(memory["ends"], 1) if end is not None and end < epoch]
        stage = max(ended, default=0)
        if stage == memory["stage"]:
            return False
        self.eval()
        memory["stage"] = stage
        label = _labels(self.stages)[stage]
        for group in self.param_groups:
            for name in group.keys() - self._keys:  # what the optimizer before has counted there
                del group[name]
            for name in self._shared_options() & group.keys():
                group[name] = group.get(f"{label}_{name}", group[name])
        Plateau(memory).reset()
        self.state.clear()
        self._share()
        self.train()
        return True

    def _count_step(self) -> None:
        """Count a step as an epoch in a loop that does not call `begin_epoch`."""
        memory = self.param_groups[0]
        if memory["counted_steps"] is None:
            return
        memory["counted_steps"] += 1
        if self._select(memory["counted_steps"]):
            warn_user(
                f"{type(self).__name__} switches to {type(self.active).__name__} after "
                f"{memory['counted_steps'] - 1} steps: begin_epoch was never called, so each step "
                "counted as an epoch. To count epochs, call optimizer.begin_epoch(epoch) at the "
                "start of each one, counted from 1.",
            )

    def _group(self, params: list[Tensor], options: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return a group with the options of all optimizers.

        Those of the same name are also kept for each optimizer, as ``"adam_lr"``. The keys are the
        same at each stage, by which checkpoints know that they fit.
        """
        group: dict[str, Any] = {}
        for label, own in zip(reversed(_labels(self.stages)), reversed(options), strict=True):
            group |= own
            shared = self._shared_options()
            group |= {f"{label}_{name}": value for name, value in own.items() if name in shared}
        return {"params": params, **group}

    def _shared_options(self) -> set[str]:
        """Return the names of options that several optimizers have."""
        counts = Counter(name for stage in self.stages for name in stage.defaults)
        return {name for name, count in counts.items() if count > 1}


def _built(optimizer: Any, params: list[Any]) -> Optimizer:
    if isinstance(optimizer, str | Mapping):
        own = [dict(group) if isinstance(group, dict) else group for group in params]
        optimizer = get_optimizer(optimizer, own)
    if not isinstance(optimizer, Optimizer) or hasattr(optimizer, "stages"):
        raise TrainingError(
            f"A sequence consists of optimizers of torch, and {type(optimizer).__name__} is none: "
            "a search, or another sequence, cannot be part of it."
        )
    return optimizer


def _labels(stages: Sequence[Optimizer]) -> list[str]:
    """Return a name for each optimizer: ``["adam", "ssbroyden", "adam_3"]``."""
    names = [type(stage).__name__.lower() for stage in stages]
    return [
        f"{name}_{number}" if name in names[: number - 1] else name
        for number, name in enumerate(names, 1)
    ]
