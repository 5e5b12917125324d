"""Real data sets that scikit-learn ships; nothing is downloaded."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from perceptrain_core.errors import MissingDependencyError


def digits() -> tuple[Tensor, Tensor]:
    """Handwritten digits, 8 x 8 pixels (Alpaydin and Kaynak, UCI, 1998).

    Returns:
        Inputs of shape ``(1797, 64)``, float32, from 0 to 1, and labels of shape ``(1797,)``,
        int64, from 0 to 9.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    inputs, labels = _load("load_digits")
    return inputs / 16, labels.long()


def breast_cancer() -> tuple[Tensor, Tensor]:
    """Malignant (0) or benign (1) tumours (Wolberg et al., UCI, 1995).

    Returns:
        Inputs of shape ``(569, 30)``, float32, on the scales of their measurements, and labels
        of shape ``(569,)``, int64.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    inputs, labels = _load("load_breast_cancer")
    return inputs, labels.long()


def wine() -> tuple[Tensor, Tensor]:
    """Wines of three growers, by their chemistry (Aeberhard and Forina, UCI, 1991).

    Returns:
        Inputs of shape ``(178, 13)``, float32, on the scales of their measurements, and labels
        of shape ``(178,)``, int64, from 0 to 2.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    inputs, labels = _load("load_wine")
    return inputs, labels.long()


def diabetes() -> tuple[Tensor, Tensor]:
    """Progression of diabetes after a year, from ten measurements (Efron et al., 2004).

    Returns:
        Inputs of shape ``(442, 10)``, float32, centred and scaled, and labels of shape
        ``(442, 1)``, float32, from 25 to 346.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    inputs, labels = _load("load_diabetes")
    return inputs, labels.float().unsqueeze(-1)


def _load(function: str) -> tuple[Tensor, Tensor]:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise MissingDependencyError(
            "This data set comes with scikit-learn, which is not installed: "
            'pip install "perceptrain-core[demo]".'
        ) from error
    inputs: Any
    inputs, labels = getattr(datasets, function)(return_X_y=True)
    return torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
