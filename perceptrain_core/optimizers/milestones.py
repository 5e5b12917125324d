"""When one optimizer of a sequence follows another: after an epoch, or at a plateau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Progress:
    """How far a sequence has come. It never changes: each epoch has a progress of its own.

    Attributes:
        milestones: From `read_milestones`.
        ends: The last epoch of each optimizer but the last one, ``None`` if not yet known.
        stage: The number of the active optimizer, counted from 0.
        epoch: The current epoch, counted from 1; 0 before the first.
        best_loss: The lowest loss of an epoch since the active optimizer became active.
        waited: The number of epochs since.
    """

    milestones: list[Milestone]
    ends: list[int | None]
    stage: int = 0
    epoch: int = 0
    best_loss: float | None = None
    waited: int = 0

    @classmethod
    def start(cls, milestones: list[Milestone]) -> Progress:
        """Return the progress before the first epoch."""
        return cls(milestones, [end if isinstance(end, int) else None for end in milestones])

    def at(self, epoch: int) -> Progress:
        """Return the progress at the start of an epoch, which may be an earlier one."""
        pairs = zip(self.milestones, self.ends, strict=True)
        ends = [
            None if end is None or (milestone != end and end >= epoch) else end
            for milestone, end in pairs
        ]
        ended = [n for n, end in enumerate(ends, 1) if end is not None and end < epoch]
        now = replace(self, ends=ends, epoch=epoch, stage=max(ended, default=0))
        is_new = epoch == 1 or now.stage != self.stage
        return replace(now, best_loss=None, waited=0) if is_new else now

    def after(self, loss: float) -> Progress:
        """Return the progress after an epoch with this mean loss.

        As for ``ReduceLROnPlateau`` of torch, a plateau is more than ``patience`` epochs that are
        not lower than the best one by the share ``threshold`` of it.
        """
        milestone: Milestone = [*self.milestones, 0][self.stage]
        if not isinstance(milestone, dict):
            return self
        best = self.best_loss
        if best is None or loss < best - milestone["threshold"] * abs(best):
            return replace(self, best_loss=loss, waited=0)
        ends = list(self.ends)
        if self.waited >= milestone["patience"]:
            ends[self.stage] = self.epoch
        return replace(self, ends=ends, waited=self.waited + 1)
