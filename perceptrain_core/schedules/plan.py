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
    """A scheduler that has been requested but not yet made.

    Attributes:
        label: Its name in messages.
        target: The class, or a function that returns the scheduler of an optimizer.
        options: Its options.
        parts: The plans of the schedulers that it combines; ``None`` if it combines none.
    """

    label: str
    target: Callable[..., Any]
    options: dict[str, Any]
    parts: tuple[SchedulerPlan, ...] | None

    def is_one_of(self, *kinds: type) -> bool:
        """Whether the target is one of these classes; false for a function."""
        return isinstance(self.target, type) and issubclass(self.target, kinds)

    @property
    def per_batch(self) -> bool:
        """Whether it, or one of its parts, must be stepped after every batch."""
        return self.is_one_of(*PER_BATCH) or any(part.per_batch for part in self.parts or ())

    def make(self, optimizer: Optimizer, steps: int | None) -> LRScheduler:
        """Make the scheduler.

        Args:
            optimizer: Its rates are set to those of the first step.
            steps: The number of steps that it will be stepped; ``None`` if unknown.

        Raises:
            ConfigError: Its length is unknown.
            OptionError: It does not accept the options, or does not fit the optimizer.
            TargetError: The target does not return a scheduler of this optimizer.
        """
        self._check_momentum(optimizer)
        options = self._with_length(steps)
        try:
            if self.parts is None:
                made = self.target(optimizer, **options)
            else:
                lengths = self._lengths_of_parts(self.parts, steps)
                parts = [p.make(optimizer, n) for p, n in zip(self.parts, lengths, strict=True)]
                made = self.target(optimizer=optimizer, schedulers=parts, **options)
        except PerceptrainError:
            raise
        except Exception as error:
            raise OptionError(f"{self.label} cannot be made: {one_line(error)}") from error
        if not isinstance(made, LRScheduler) or made.optimizer is not optimizer:
            raise TargetError(
                f"{self.label} returned {made!r:.60}; expected a "
                "torch.optim.lr_scheduler.LRScheduler of the optimizer that it was called with."
            )
        return made

    def _with_length(self, steps: int | None) -> dict[str, Any]:
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
        if not self.is_one_of(SequentialLR):
            return [steps] * len(parts)
        milestones = self.options["milestones"]
        if len(milestones) != len(parts) - 1:
            raise OptionError(
                f"{self.label} has {len(parts)} schedulers and {len(milestones)} milestones; "
                "expected one milestone between each two schedulers."
            )
        spans = zip([0, *milestones], [*milestones, steps], strict=True)
        return [None if end is None else end - start for start, end in spans]

    def _check_momentum(self, optimizer: Optimizer) -> None:
        signature = signature_of(self.target)
        cycles = signature is not None and "cycle_momentum" in signature.parameters
        if not cycles or not self.options.get("cycle_momentum", True):
            return
        if not {"momentum", "betas"} & optimizer.defaults.keys():
            raise OptionError(
                f"{self.label} cycles the momentum, and {type(optimizer).__name__} has none: pass "
                "cycle_momentum=False, or use an optimizer with momentum or betas."
            )


def read_plan(given: Any, extra: Sequence[str] = ()) -> SchedulerPlan:
    """Find a scheduler and check its options.

    Args:
        given: A name, a reference, a mapping with a ``name`` and options, a class, or a function
            of the optimizer.
        extra: Options that are accepted besides the scheduler's own; ``"monitor"`` only for a
            scheduler that uses a metric.

    Raises:
        UnknownNameError: torch has no scheduler of this name.
        OptionError: An option is unknown or missing, or ``given`` is none of the above.
        TargetError: A reference cannot be loaded, or is not a class or function.
    """
    name, options = split_scheduler(given)
    target = name
    if isinstance(name, str):
        target = load_reference(name) if ":" in name else scheduler_class(name)
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
    if isinstance(target, type) and not issubclass(target, ReduceLROnPlateau):
        extra = [name for name in extra if name != "monitor"]
    known = dict(signature.parameters)
    known.pop("last_epoch", None)  # runs are resumed by the state of the scheduler
    if "optimizer" in known:  # not the first parameter of all schedulers
        known["optimizer"] = Parameter("optimizer", Parameter.POSITIONAL_ONLY)
    length = _length_option(target)
    if length is not None:
        known[length] = known[length].replace(default=None)
    known |= {name: Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in extra}
    ordered = sorted(known.values(), key=lambda parameter: parameter.kind)
    check_call(label, Signature(ordered), ("optimizer",), options)


def _length_option(target: Callable[..., Any]) -> str | None:
    if not isinstance(target, type):
        return None
    return next((name for kind, name in _LENGTHS.items() if issubclass(target, kind)), None)


def _loaded(value: Any) -> Any:
    """Load references among option values, e.g. ``lr_lambda = "./rates.py:warm_up"``."""
    if isinstance(value, list):
        return [_loaded(item) for item in value]
    return load_reference(value) if isinstance(value, str) and ":" in value else value
