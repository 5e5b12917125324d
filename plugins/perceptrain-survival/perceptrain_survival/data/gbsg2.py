"""The patients of the second study of the German Breast Cancer Study Group."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from perceptrain.errors import MissingDependencyError

_YEAR = 365.25
_NUMBERS = ("age", "tsize", "pnodes", "progrec", "estrec")


def gbsg2() -> tuple[Tensor, Tensor]:
    """Time to recurrence of breast cancer or death, of 686 patients (Schumacher et al. 1994).

    It comes with scikit-survival; nothing is downloaded.

    Returns:
        Inputs of shape ``(686, 8)``, float32, on their scales: age in years, size of the tumour in
        mm, number of positive lymph nodes, progesterone and estrogen receptors in fmol/l, hormonal
        therapy (0 or 1), after the menopause (0 or 1), and grade of the tumour (1 to 3). Labels of
        shape ``(686, 2)``, float32: event (299 rows), and time in years.

    Raises:
        MissingDependencyError: scikit-survival is not installed.
    """
    try:
        from sksurv.datasets import load_gbsg2  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingDependencyError(
            "The data set 'gbsg2' comes with scikit-survival: pip install "
            "'perceptrain-survival[data]'."
        ) from error
    table, known = load_gbsg2()
    columns: list[Any] = [table[name].to_numpy(float) for name in _NUMBERS]
    columns += [table["horTh"] == "yes", table["menostat"] == "Post", table["tgrade"].str.len()]
    inputs = np.stack([np.asarray(column, dtype=np.float32) for column in columns], 1)
    labels = np.stack([known["cens"], known["time"] / _YEAR], 1).astype(np.float32)
    return torch.from_numpy(inputs), torch.from_numpy(labels)
