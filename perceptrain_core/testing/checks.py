"""The result of a check, and the error that lists all faults at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from perceptrain_core.checkpoints.random_state import kept_random_state
from perceptrain_core.errors import ConformanceError, LossContractError
from perceptrain_core.registry.messages import one_line


class Check(NamedTuple):
    """What one check found.

    Attributes:
        name: What the contract asks, ``"imports lightly"``.
        faults: What was seen instead, a line each; none if it passed.
        detail: What was seen, if it passed.
    """

    name: str
    faults: tuple[str, ...] = ()
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def run_check(name: str, find: Callable[[Any], Iterator[str]], subject: Any) -> Check:
    """Collect the faults that are found in a subject; an error is one, too."""
    faults: list[str] = []
    try:
        faults.extend(find(subject))
    except LossContractError as error:
        faults.append(str(error))
    except Exception as error:  # whatever the subject, or a copy of it, raises
        faults.append(f"it raised {one_line(error)}")
    return Check(name, tuple(dict.fromkeys(faults)))


def require_all(
    subject: Any,
    label: str,
    kind: tuple[str, Callable[[Any], Iterator[str]]],
    checks: Mapping[str, Callable[[Any], Iterator[str]]],
) -> None:
    """Run checks of a subject, those after the first only if it is of the right kind.

    Args:
        subject: What is checked.
        label: What to call it.
        kind: The first check, by its name.
        checks: The others, by their names.

    Raises:
        ConformanceError: One found a fault; the message lists every fault.
    """
    with kept_random_state():
        first = run_check(*kind, subject)
        others = {} if first.faults else checks
        found = [first, *(run_check(name, find, subject) for name, find in others.items())]
    require(label, found)


def require(subject: str, checks: Iterable[Check]) -> None:
    """Raise ConformanceError with every fault, if there is one."""
    lines = [f"- {check.name}: {fault}" for check in checks for fault in check.faults]
    if lines:
        raise ConformanceError("\n".join([f"{subject} does not keep the contract.", *lines]))
