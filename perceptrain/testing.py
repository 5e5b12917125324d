"""The conformance kit, for the tests of plugins, losses and weightings."""

from perceptrain_core.errors import ConformanceError
from perceptrain_core.testing import (
    Check,
    check_loss,
    check_plugin,
    check_weighting,
    run_checks,
)

__all__ = [
    "Check",
    "ConformanceError",
    "check_loss",
    "check_plugin",
    "check_weighting",
    "run_checks",
]
