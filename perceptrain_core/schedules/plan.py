"""Plan a scheduler of torch: find it by name, check its options, fill in its length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CyclicLR,
    LRScheduler,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
)

from perceptrain_core.errors import ConfigError, OptionError, PerceptrainError, TargetError
from perceptrain_core.registry.called_code import check_code
from perceptrain_core.registry.messages import one_line
from perceptrain_core.registry.options import check_call, signature_of
from perceptrain_core.registry.references import load_reference
from perceptrain_core.schedules.names import (
    scheduler_class,
    scheduler_parts,
    split_scheduler,
)

#: The option that holds the number of steps until the end, which a run fills in.
_LENGTHS = {CosineAnnealingLR: "T_max", OneCycleLR: "total_steps", PolynomialLR: "total_iters"}
#: Alternative ways to set the length of `OneCycleLR`.
_OTHER_LENGTHS = {"epochs", "steps_per_epoch"}

#: The schedulers that torch documents to be stepped after every batch.
PER_BATCH = (OneCycleLR, CyclicLR)


@dataclass(frozen=True)
class SchedulerPlan:
    """A scheduler that is checked but not yet created.

    Attributes:
        label: Its name in messages.
        target: The class, or a function that takes the optimizer and returns the scheduler.
        options: Its options.
        parts: The plans of the schedulers that it combines; ``None`` for a single scheduler.
    """

    label: str
    target: Callable[..., Any]
    options: dict[str, Any]
    parts: tuple[SchedulerPlan, ...] | None

    @property
    def per_batch(self) -> bool:
        """Whether it, or one of its parts, must be stepped after every batch."""
        parts = self.parts or ()
        return _is_class(self.target, *PER_BATCH) or any(part.per_batch for part in parts)

    def make(self, optimizer: Optimizer, steps: int | None) -> LRScheduler:
        """Create the scheduler.

        Args:
            optimizer: Its rates are set to those of the first step.
            steps: How often it will be stepped; ``None`` if unknown.

        Raises:
            ConfigError: Its length is unknown.
            OptionError: It does not accept the options, or does not fit the optimizer.
            TargetError: The target does not return a scheduler of this optimizer.
        """
        self._check_momentum(optimizer)
        options = self._options_with_length(steps)
        try:
            if self.parts is None:
                scheduler = self.target(optimizer, **options)
            else:
                lengths = self._lengths_of_parts(self.parts, steps)
                parts = [p.make(optimizer, n) for p, n in zip(self.parts, lengths, strict=True)]
                scheduler = self.target(optimizer=optimizer, schedulers=parts, **options)
        except PerceptrainError:
            raise
        except Exception as error:
            raise OptionError(f"{self.label} cannot be created: {one_line(error)}") from error
        if not isinstance(scheduler, LRScheduler) or scheduler.optimizer is not optimizer:
            raise TargetError(
                f"{self.label} returned {scheduler!r:.60}; expected a "
                "torch.optim.lr_scheduler.LRScheduler of the optimizer that it was called with."
            )
        return scheduler

    def _options_with_length(self, steps: int | None) -> dict[str, Any]:
        length = _length_option(self.target)
        if length is None or length in self.options or _OTHER_LENGTHS & self.options.keys():
            return self.options
        if steps is None:
            raise ConfigError(
                f"{self.label} needs {length}, the number of steps of the whole run, but the "
                f"training data have no length: pass {length}=..., or data with a length."
            )
        return {**self.options, length: max(1, steps)}

    def _lengths_of_parts(
        self, parts: Sequence[SchedulerPlan], steps: int | None
    ) -> list[int | None]:
        if not _is_class(self.target, SequentialLR):
            return [steps] * len(parts)
        milestones = self.options["milestones"]
        if len(milestones) != len(parts) - 1:
            raise OptionError(
                f"{self.label} has {len(parts)} schedulers and {len(milestones)} milestones; "
                "expected one milestone between two schedulers."
            )
        spans = zip([0, *milestones], [*milestones, steps], strict=True)
        return [None if end is None else end - start for start, end in spans]

    def _check_momentum(self, optimizer: Optimizer) -> None:
        can_cycle = _is_class(self.target, OneCycleLR, CyclicLR)
        cycles = can_cycle and self.options.get("cycle_momentum", True)
        if cycles and not {"momentum", "betas"} & optimizer.defaults.keys():
            raise OptionError(
                f"{self.label} cycles the momentum, and {type(optimizer).__name__} has none: pass "
                "cycle_momentum=False, or use an optimizer with momentum or betas."
            )


def read_plan(setting: Any, extra: Sequence[str] = ()) -> SchedulerPlan:
    """Find a scheduler and check its options.

    Args:
        setting: A name, a reference, a mapping with a ``name`` and options, a class, or a function
            of the optimizer.
        extra: Options that are accepted besides the scheduler's own; ``"monitor"`` only for a
            scheduler that uses a metric.

    Raises:
        UnknownNameError: torch has no scheduler of this name.
        OptionError: An option is unknown or missing, or ``setting`` is none of the above.
        TargetError: A reference cannot be loaded, or is not a class or function.
    """
    name, options = split_scheduler(setting)
    target = name
    if isinstance(name, str):
        target = _code(name) if ":" in name else scheduler_class(name)
    shown = name if isinstance(name, str) else getattr(name, "__qualname__", type(name).__name__)
    label = f"The learning-rate scheduler {shown!r}"
    if not callable(target):
        raise TargetError(f"{label} is {target!r:.60}: expected a class or a function.")
    _check_options(label, target, options, extra)
    parts = None
    if "schedulers" in options:
        parts = tuple(read_plan(part) for part in scheduler_parts(options))
    own = {key: _loaded(value) for key, value in options.items() if key != "schedulers"}
    return SchedulerPlan(label, target, own, parts)


def _check_options(
    label: str, target: Callable[..., Any], options: Mapping[str, Any], extra: Sequence[str]
) -> None:
    signature = signature_of(target)
    if signature is None:
        return
    known = dict(signature.parameters)
    known.pop("last_epoch", None)  # a run is resumed from the state of the scheduler
    leading = () if known.pop("optimizer", None) else ("optimizer",)  # it may have another name
    has_metric = not isinstance(target, type) or _is_class(target, ReduceLROnPlateau)
    extra = [name for name in extra if name != "monitor" or has_metric]
    for name in [*filter(None, [_length_option(target)]), *extra]:
        known[name] = Parameter(name, Parameter.KEYWORD_ONLY, default=None)
    ordered = sorted(known.values(), key=lambda parameter: parameter.kind)
    check_call(label, Signature(ordered), leading, options)


def _is_class(target: Callable[..., Any], *kinds: type) -> bool:
    """Whether the target is one of these classes; false for a function."""
    return isinstance(target, type) and issubclass(target, kinds)


def _length_option(target: Callable[..., Any]) -> str | None:
    return next((name for kind, name in _LENGTHS.items() if _is_class(target, kind)), None)


def _loaded(value: Any) -> Any:
    """Load references among option values, e.g. ``lr_lambda = "./rates.py:warm_up"``."""
    if isinstance(value, list):
        return [_loaded(item) for item in value]
    return _code(value) if isinstance(value, str) and ":" in value else value


def _code(reference: str) -> Any:
    loaded = load_reference(reference)
    if callable(loaded):
        check_code(f"{reference!r} in the learning-rate schedule", loaded)
    return loaded
