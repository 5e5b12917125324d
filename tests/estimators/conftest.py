"""Data sets that scikit-learn ships, and settings with which a fit takes a moment."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

QUICK: dict[str, Any] = {"max_iter": 30, "lr": 0.02, "hidden": (16,), "random_state": 0}
#: A linear model at the minimum of a smooth loss, found with all rows at once.
LINEAR: dict[str, Any] = {
    "hidden": (),
    "optimizer": {
        "name": "lbfgs",
        "line_search_fn": "strong_wolfe",
        "tolerance_grad": 1e-9,
        "tolerance_change": 1e-14,
    },
    "lr": 1.0,
    "max_iter": 10,
    "batch_size": 1000,
    "random_state": 0,
}


@pytest.fixture(scope="session")
def linear() -> dict[str, Any]:
    return LINEAR


@pytest.fixture(scope="session")
def quick() -> dict[str, Any]:
    return QUICK


@pytest.fixture(scope="session")
def cancer() -> Any:
    return load_breast_cancer(return_X_y=True)


@pytest.fixture(scope="session")
def wine() -> Any:
    return load_wine(return_X_y=True)


@pytest.fixture(scope="session")
def diabetes() -> Any:
    return load_diabetes(return_X_y=True)
