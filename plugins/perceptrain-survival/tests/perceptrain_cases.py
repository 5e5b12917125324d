"""Cases for ``pytest --perceptrain-plugin perceptrain-survival``."""

from __future__ import annotations

from typing import Any

from torch import nn

from perceptrain_survival import weibull_times

OPTIONS: dict[str, dict[str, Any]] = {"hazard": {"grid": [0, 1, 2]}, "brier_score": {"at": 0.5}}
OUTPUTS = {"cox": 1, "weibull": 2, "hazard": 3}


def case(kind: str, name: str) -> dict[str, Any]:
    """Return censored times, and options and outputs for them."""
    inputs, labels = weibull_times(40)
    if kind == "metric":
        return {"options": OPTIONS.get(name, {}), "preds": inputs[:, :1], "target": labels}
    if kind == "loss":
        model = nn.Linear(4, OUTPUTS[name])
        return {"options": OPTIONS.get(name, {}), "batch": (inputs, labels), "model": model}
    return {}
