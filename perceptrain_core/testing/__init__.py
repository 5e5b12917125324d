"""The conformance kit: checks of plugins, of what they offer, and of their READMEs."""

from perceptrain_core.testing.callback import check_callback
from perceptrain_core.testing.checks import Check
from perceptrain_core.testing.loss import check_loss
from perceptrain_core.testing.metric import check_metric
from perceptrain_core.testing.plugin import check_plugin, run_checks
from perceptrain_core.testing.readme import Readme, check_readme
from perceptrain_core.testing.tracker import check_tracker
from perceptrain_core.testing.weighting import check_weighting

__all__ = [
    "Check",
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
