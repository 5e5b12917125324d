"""Import torchmetrics, an optional package that takes seconds to import, on first use."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from perceptrain_core.errors import MissingDependencyError


def require_torchmetrics(name: str) -> None:
    """Check that torchmetrics is installed, without importing it.

    Args:
        name: What needs it, for the message.

    Raises:
        MissingDependencyError: It is not installed.
    """
    if find_spec("torchmetrics") is None:
        raise MissingDependencyError(
            f"The metric {name!r} needs the package torchmetrics: "
            'pip install "perceptrain-core[metrics]".'
        )


def classification_metric(name: str, **options: Any) -> Any:
    """Create a metric of ``torchmetrics.classification`` that works in this process alone.

    Args:
        name: The class, such as ``"BinaryF1Score"``.
        **options: Its options.
    """
    kind = getattr(import_module("torchmetrics.classification"), name)
    # The trainer combines processes itself, and this package has checked the tensors.
    return kind(**options, validate_args=False, sync_on_compute=False)
