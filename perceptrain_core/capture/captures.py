"""Captured steps: one compiled program for each kind of batch, compared with the eager step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from torch import Tensor

from perceptrain_core.capture.batches import leaves_of, with_leaves
from perceptrain_core.capture.comparison import compare_step
from perceptrain_core.capture.costs import Costs
from perceptrain_core.capture.errors import reason_of
from perceptrain_core.capture.guard import Guard
from perceptrain_core.capture.moment import Moment
from perceptrain_core.capture.program import Outcome, Program
from perceptrain_core.capture.reach import Reach
from perceptrain_core.capture.subject import Subject
from perceptrain_core.capture.trace import record
from perceptrain_core.capture.update import Update
from perceptrain_core.capturing import NotCapturable
from perceptrain_core.parameters import parameters_of

#: Steps of a kind other than the first are captured after this many: a smaller last batch, or an
#: update of weights every 1,000 steps, is not worth the time.
_OFTEN = 20
_MOST_ATTEMPTS = 4
_MOST_KINDS = 100


@dataclass
class Captured:
    """A program, and when it is valid.

    Args:
        program: The program.
        reach: What the loss and the model reached when it was recorded.
        update: The update of the parameters in the program.

    Attributes:
        taken: Its steps so far.
        next_check: The number of steps after which the next is compared with the eager one.
    """

    program: Program
    reach: Reach
    update: Update | None
    guard: Guard = field(init=False)
    taken: int = field(default=0, init=False)
    next_check: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.guard = self.reach.guard()

    @property
    def is_due(self) -> bool:
        """Whether the next step is to be compared: the first two, the 11th, 101st, ..."""
        return self.taken >= self.next_check

    def count(self) -> None:
        """Count a step."""
        self.taken += 1
        if self.taken > self.next_check:
            powers = [10**n for n in range(5)]
            self.next_check = next((n for n in powers if n >= self.taken), self.taken + 10**4)

    def is_valid(self, look: Callable[[], Reach]) -> bool:
        """Whether everything is as the program takes it to be; looks again only if need be."""
        if self.update is not None and not self.update.fits():
            return False
        holds = self.guard.holds() and not self.is_due
        return (holds or self._renew(look())) and self.program.fetch()

    def _renew(self, now: Reach) -> bool:
        """Follow values to new containers, such as a dict that the loss creates at each update."""
        if self.reach.difference_from(now):
            return False
        self.reach, self.guard = now, now.guard()
        self.program.bind(now)
        return True


class Captures:
    """Take steps by compiled programs, where they do what the eager step does.

    Args:
        subject: What is captured.
        optimizer: Has the parameters; those that require gradients are trained.
        update: Makes the update of the parameters; ``None`` captures only loss and gradients.
        refuse: Called with the reason when a step cannot be captured.
        announce: Called with a text while a step is compiled, with ``None`` at the end.

    Attributes:
        costs: What it has cost and gained so far.
        seen: How often each kind of step was seen, which decides what is captured.
        has_started: Whether a step was taken. The first is eager: it creates the state of the
            optimizer, and leaves what a loss may find at its next call, such as gradients.
    """

    def __init__(
        self,
        subject: Subject,
        optimizer: Any,
        update: Callable[[], Update] | None,
        refuse: Callable[[str], None],
        announce: Callable[[str | None], None],
    ) -> None:
        self.costs = Costs()
        self.seen: Counter[str] = Counter()
        self.has_started = False
        self._subject, self._optimizer, self._make_update = subject, optimizer, update
        self._refuse, self._announce = refuse, announce
        self._given: list[tuple[Any, ...]] = []
        self._captured: dict[Hashable, Captured] = {}
        self._attempts: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._unknown = 0
        self._reasons: set[str] = set()
        self._next_call = getattr(subject.loss_fn, "next_call", None)
        self._count_call = getattr(subject.loss_fn, "count_call", _nothing)

    def take(self, batch: Any) -> Outcome | None:
        """Take a captured step; ``None`` if it has to be an eager one.

        Args:
            batch: The batch, on the device.
        """
        if self._unknown > _MOST_ATTEMPTS:
            return None
        if not self.has_started:
            self.has_started = True
            return None
        key: Hashable = None
        start = perf_counter()
        try:
            self._follow_parameters()
            leaves, key = leaves_of(batch)
            if self._next_call is not None:
                key = key, self._next_call()
            captured = self._captured.get(key)
            if captured is not None and captured.is_valid(self._subject.look):
                if not captured.is_due:
                    return self._run(captured, leaves, start)
            else:
                captured = self._capture(batch, leaves, key)
            return None if captured is None else self._compared(captured, batch, leaves)
        except Exception as error:
            self._captured.pop(key, None)
            self._unknown += key is None
            if len(self._refused) < _MOST_KINDS:
                self._refused.add(str(key))
            reason = reason_of(error)
            if reason not in self._reasons:
                self._reasons.add(reason)
                self._refuse(reason)
            return None

    def _follow_parameters(self) -> None:
        """Notice that the optimizer got other parameters, or that some were frozen.

        Raises:
            NotCapturable: A parameter has a hook.
        """
        given = [
            (id(p), p.requires_grad, p._backward_hooks, p._post_accumulate_grad_hooks)
            for group in self._optimizer.param_groups
            for p in group["params"]
        ]
        if given != self._given:
            self._given = given
            parameters = parameters_of(self._optimizer)
            self._subject.parameters = [p for p in parameters if p.requires_grad]
            self._captured.clear()
            self._attempts.clear()
        if any(hooks or later for _, _, hooks, later in given):
            raise NotCapturable("a parameter has a hook")

    def _run(self, captured: Captured, leaves: list[Tensor], start: float) -> Outcome:
        outcome = captured.program(leaves)
        self._count_call()
        captured.count()
        self.costs.steps += perf_counter() - start
        self.costs.count += 1
        return outcome

    def _capture(self, batch: Any, leaves: list[Tensor], key: Hashable) -> Captured | None:
        """Capture a step, unless it is too early, or its kind too rare."""
        name = str(key)
        if name in self._refused or not self.is_ready():
            return None
        update = None if self._make_update is None else self._make_update()
        if name not in self.seen and len(self.seen) == _MOST_KINDS:
            raise NotCapturable(
                f"there are more than {_MOST_KINDS} kinds of batches: each shape, number and text "
                "in a batch makes another; pass numbers as tensors"
            )
        self.seen[name] += 1
        if name != next(iter(self.seen)) and self.seen[name] < _OFTEN:
            return None
        self._attempts[name] += 1
        if self._attempts[name] > _MOST_ATTEMPTS:
            raise NotCapturable(
                f"{self._changed(key)} keeps changing between steps: keep it in a tensor, which "
                "the graph follows; or name it in its class, uncaptured = (...,), if no call of "
                "the loss reads it"
            )
        try:
            captured = self._captured[key] = self._compiled(batch, leaves, update)
            return captured
        except NotCapturable:
            if self._attempts[name] < _MOST_ATTEMPTS:
                return None  # a loss may create its state in its first calls
            raise

    def _compiled(self, batch: Any, leaves: list[Tensor], update: Update | None) -> Captured:
        start = perf_counter()
        recorded = record(self._subject, batch, leaves, update)
        if update is not None:
            update.follow(recorded.trained)
        self._announce("compiling the step")
        try:
            return Captured(Program(recorded, len(leaves)), recorded.reach, update)
        finally:
            self._announce(None)
            self.costs.compiling += perf_counter() - start

    def _compared(self, captured: Captured, batch: Any, leaves: list[Tensor]) -> Outcome:
        """Take a step and compare it with the eager one, which is undone."""
        outcome = compare_step(
            captured.program, self._subject, batch, leaves, captured.update, self.costs.eager
        )
        self._count_call()
        captured.count()
        return outcome

    def _changed(self, key: Hashable) -> str:
        """Name what a program takes as given, and what has changed."""
        captured = self._captured.get(key)
        if captured is None:
            return "an option of the optimizer"
        now = self._subject.look()
        found = captured.reach.difference_from(now)
        shown = now.shown(found) if found else captured.program.misfit
        return shown or "an option of the optimizer"

    def state_dict(self) -> dict[str, Any]:
        """Return what decides which steps are captured."""
        return {
            "started": self.has_started,
            "seen": dict(self.seen),
            "attempts": dict(self._attempts),
            "refused": sorted(self._refused),
            "scales": dict(self._subject.scales),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._follow_parameters()
        self.seen.update(state.get("seen", {}))
        self.has_started = state.get("started", bool(self.seen))
        self._attempts.update(state.get("attempts", {}))
        self._refused.update(state.get("refused", ()))
        self._subject.scales.update(state.get("scales", {}))

    def is_ready(self) -> bool:
        """Whether steps can be captured: one was eager, and the optimizer has the state of it."""
        has_state = self._make_update is None or Update.has_state(self._optimizer)
        return self.has_started and has_state

    def try_out(self, call: Callable[[Any], Any], batch: Any) -> None:
        """Make a call with a copy of a batch, and undo its effects on the model and the loss.

        Args:
            call: Called with the batch.
            batch: The batch.

        Raises:
            Exception: Whatever the call raises, or `NotCapturable`.
        """
        leaves, _ = leaves_of(batch)
        moment = Moment(self._subject.look(), leaves)
        try:
            call(with_leaves(batch, leaves))
        finally:
            moment.restore()


def _nothing() -> None:
    pass
