"""The conformance kit: checks for plugins and for what they offer."""

from perceptrain_core.errors import ConformanceError
from perceptrain_core.testing import (
    Check,
    Readme,
    check_callback,
    check_loss,
    check_metric,
    check_plugin,
    check_readme,
    check_tracker,
    check_weighting,
    run_checks,
)

__all__ = [
    "Check",
    "ConformanceError",
    "Readme",
    "check_callback",
    "check_loss",
    "check_metric",
    "check_plugin",
    "check_readme",
    "check_tracker",
    "check_weighting",
    "run_checks",
]
