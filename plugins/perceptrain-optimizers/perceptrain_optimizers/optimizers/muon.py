"""Muon for matrices, and AdamW for all other parameters, in one optimizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import pytorch_optimizer as po
from torch import Tensor

from perceptrain_optimizers.optimizers.adapted import Adapted

#: How an option of the constructor is named in a group that AdamW trains.
_ADAMW = {"adamw_lr": "lr", "adamw_betas": "betas", "adamw_wd": "weight_decay", "adamw_eps": "eps"}


class _Split(Adapted):
    """Divide each group: Muon gets what has two or more dimensions, AdamW the rest.

    An option of a group has the name that it has in the constructor. With ``use_muon=False`` AdamW
    trains all of the group, such as an embedding or the last layer.
    """

    own_defaults: ClassVar[dict[str, Any]] = {"use_muon": True}

    def __init__(self, params: Iterable[Any], **options: Any) -> None:
        bound = self.__signature__.bind(params, **options)
        bound.apply_defaults()
        chosen = {name: value for name, value in bound.arguments.items() if name != "params"}
        given = list(params)
        groups = [dict(g) for g in given] if isinstance(given[0], dict) else [{"params": given}]
        split = [part for group in groups for part in _parts(group, chosen)]
        super().__init__(split, **options)
        # The options that a group may have.
        self.defaults |= chosen


def _parts(group: dict[str, Any], chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
    params, use_muon = group.pop("params"), group.pop("use_muon", chosen["use_muon"])
    params = [params] if isinstance(params, Tensor) else list(params)
    matrices = [p for p in params if use_muon and p.ndim >= 2]
    rest = [p for p in params if not use_muon or p.ndim < 2]
    options = {**chosen, **group}
    muon = {key: value for key, value in group.items() if key not in _ADAMW}
    adamw = {_ADAMW[key]: value for key, value in options.items() if key in _ADAMW}
    adamw |= {key: value for key, value in group.items() if key == "weight_decouple"}
    parts = [
        {"params": matrices, "use_muon": True, **muon},
        {"params": rest, "use_muon": False, **adamw},
    ]
    return [part for part in parts if part["params"]]


class MuonAdamW(_Split, po.Muon):
    """Orthogonalized momentum for matrices, AdamW for all else (Muon, 2024)."""


class AdaMuon(_Split, po.AdaMuon):
    """Muon with second moments for matrices, AdamW for all else (arXiv 2507.11005)."""


class NorMuon(_Split, po.NorMuon):
    """Muon with normalized rows for matrices, AdamW for all else (arXiv 2510.05491)."""
