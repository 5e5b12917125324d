"""Run folders as training leaves them, without training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

TABLES: dict[str, Any] = {
    "callbacks": [{"name": "save_best_checkpoint"}],
    "model": {"name": "ffnn", "layers": [13, 32, 3]},
    "loss": {"name": "cross_entropy"},
    "optimizer": {"name": "adam", "lr": 0.01},
    "train": {"max_iter": 4, "log_folder": "wine"},
    "provenance": {
        "loss": {"name": "perceptrain-core/cross_entropy", "distribution": "perceptrain-core"},
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
    },
}
METRICS = """epoch,train_loss,train_accuracy,val_loss,val_accuracy
1,1.5,0.25,1.25,0.5
2,0.5,0.5,0.75,0.625
3,0.25,0.75,0.375,0.875
4,0.015,1.0,0.5,0.75
"""

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run folder; ``None`` leaves a file out."""

    def make(
        name: str = "wine",
        metrics: str | None = METRICS,
        tables: dict[str, Any] | None = TABLES,
        test: dict[str, Any] | None = None,
        **others: str,
    ) -> Path:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        if metrics is not None:
            (folder / "metrics.csv").write_text(metrics, encoding="utf-8")
        if tables is not None:
            (folder / "run.toml").write_text(tomli_w.dumps(tables), encoding="utf-8")
            (folder / "model.pt").write_bytes(b"never read")
        if test is not None:
            (folder / "test.json").write_text(json.dumps(test), encoding="utf-8")
        for file, text in others.items():
            (folder / file.replace("__", ".")).write_text(text, encoding="utf-8")
        return folder

    return make
