"""Runs trained in a second or two on real data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file

Train = Callable[..., Path]

CANCER = """
loss = "cross_entropy"
optimizer = { name = "adam", lr = 0.01 }
[model]
name = "ffnn"
layers = [30, 16, 2]
[data]
file = "cancer.csv"
labels = "diagnosis"
standardize = true
val_fraction = 0.2
test_fraction = 0.2
[metrics]
accuracy = {}
[train]
max_iter = 4
batch_size = 16
seed = 1
verbose = false
"""
#: Text, gaps in two columns, and labels that are scaled.
DIABETES = """
loss = "mse"
optimizer = { name = "adam", lr = 0.01 }
[model]
name = "ffnn"
layers = [11, 16, 1]
[data]
file = "diabetes.csv"
labels = "progression"
missing = "fill"
standardize = true
scale_labels = true
val_fraction = 0.2
[train]
max_iter = 4
batch_size = 16
seed = 1
verbose = false
"""
CODE = """
import torch
from torch import nn

def wide():
    x = torch.linspace(0, 1, 40, dtype=torch.float64).unsqueeze(1)
    return x, torch.cat([x, x**2], 1)

class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 2, dtype=torch.float64)

    def forward(self, x):
        return self.linear(x)

class Pictures(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
            nn.Linear(144, 10),
        )

def pictures():
    from sklearn.datasets import load_digits
    digits = load_digits()
    images = torch.tensor(digits.images[:500], dtype=torch.float32).unsqueeze(1)
    return images, torch.tensor(digits.target[:500])

def points():
    return {"slope": torch.rand(20, 1)}

def slope(t, u):
    (du,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
    return du + u(t)

class Pair(nn.Linear):
    def __init__(self):
        super().__init__(1, 2)

    def forward(self, x):
        return super().forward(x.float()), x

def of_pair(batch, model):
    return (model(batch[0])[0] - batch[1]).square().mean(), {}

class Branch(Wide):
    def forward(self, x):
        return super().forward(x) * (1 if x.sum() > 0 else -1)

class Noise(Wide):
    def forward(self, x):
        y = super().forward(x)
        return y + torch.rand_like(y)
"""


@pytest.fixture(scope="session")
def cancer() -> pd.DataFrame:
    """569 tumours, with a class as text."""
    frame = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "diagnosis"})
    frame["diagnosis"] = np.where(frame["diagnosis"] == 1, "benign", "malignant")
    return frame


@pytest.fixture(scope="session")
def diabetes() -> pd.DataFrame:
    """442 patients, with a column of text, and gaps in two columns."""
    frame = load_diabetes(as_frame=True, scaled=False).frame
    frame = frame.rename(columns={"target": "progression"})
    frame["sex"] = np.where(frame["sex"] == 1, "f", "m")
    frame.loc[::7, "bmi"] = np.nan
    frame.loc[::11, "sex"] = None
    return frame


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, for runs write where they are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def trained() -> dict[Any, tuple[Path, Path]]:
    """Copies of the run folders so far, and their names."""
    return {}


@pytest.fixture
def train(
    here: Path,
    cancer: pd.DataFrame,
    diabetes: pd.DataFrame,
    trained: dict[Any, tuple[Path, Path]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Train:
    """Train from the text of a run file, or copy such a run; return the run folder."""
    cancer.to_csv(here / "cancer.csv", index=False)
    diabetes.to_csv(here / "diabetes.csv", index=False)
    (here / "code.py").write_text(CODE)

    def train(text: str, *overrides: str, name: str = "run.toml") -> Path:
        path = here / name
        path.write_text(text)
        if (text, overrides, name) in trained:
            copy, folder = trained[text, overrides, name]
            return Path(shutil.copytree(copy, here / folder))
        run = build_run(read_run_file(path, overrides), path)
        folder = run.train()
        if run.splits.test is not None:
            run.test()
        copy = shutil.copytree(folder, tmp_path_factory.mktemp("trained") / "run")
        trained[text, overrides, name] = copy, folder.relative_to(here)
        return folder

    return train
