"""When one optimizer of a sequence follows another: after an epoch, or at a plateau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from perceptrain_core.errors import ConfigError
from perceptrain_core.option_checks import number_faults, refuse

#: The last epoch before the switch, or the options of a plateau.
Milestone: TypeAlias = int | dict[str, float]

_PLATEAU = {"patience": 10, "threshold": 1e-4}


def read_milestones(given: Any, owner: str) -> list[Milestone]:
    """Check milestones, and fill in the defaults of plateaus.

    Raises:
        ConfigError: One is neither a whole number nor the options of a plateau, or an epoch does
            not come after those before it.
    """
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ConfigError(f"{owner}: milestones={given!r}: expected a list.")
    items, faults, last = list(given), [], -1
    for number, item in enumerate(items):
        name = f"milestones[{number}]"
        if isinstance(item, Mapping):
            faults += _plateau_faults(name, item)
            continue
        found = number_faults({name: item}, whole=True, at_least=last + 1)
        faults += [
            f"{fault}, an epoch, or {{'patience': ..., 'threshold': ...}}" for fault in found
        ]
        last = last if found else int(item)
    refuse(owner, faults)
    return [_PLATEAU | dict(each) if isinstance(each, Mapping) else int(each) for each in items]


def _plateau_faults(name: str, plateau: Mapping[str, Any]) -> list[str]:
    unknown = [key for key in plateau if key not in _PLATEAU]
    if unknown or not plateau:
        return [f"{name}={dict(plateau)!r}: expected the keys 'patience' and 'threshold'"]
    options = _PLATEAU | dict(plateau)
    return [
        *number_faults({f"{name}.patience": options["patience"]}, whole=True, at_least=0),
        *number_faults({f"{name}.threshold": options["threshold"]}, at_least=0, below=1),
    ]


class Plateau:
    """Notices that a loss stops decreasing, as ``ReduceLROnPlateau`` of torch does.

    Args:
        memory: Where the best loss and the number of epochs without a better one are kept, under
            the keys ``"best_loss"`` and ``"waited"``.
    """

    def __init__(self, memory: dict[str, Any]) -> None:
        self._memory = memory

    def reset(self) -> None:
        """Forget all losses."""
        self._memory.update(best_loss=None, waited=0)

    def is_reached(self, loss: float, patience: float, threshold: float) -> bool:
        """Add the loss of an epoch; return whether more than ``patience`` epochs brought nothing.

        An epoch counts if it is lower than the best by the share ``threshold`` of it.
        """
        best = self._memory["best_loss"]
        if best is None or loss < best - threshold * abs(best):
            self._memory.update(best_loss=loss, waited=0)
        else:
            self._memory["waited"] += 1
        return bool(self._memory["waited"] > patience)
