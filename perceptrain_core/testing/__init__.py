"""The conformance kit: does a plugin, or a loss, keep the contract?"""

from perceptrain_core.testing.checks import Check
from perceptrain_core.testing.loss import check_loss
from perceptrain_core.testing.plugin import check_plugin, run_checks

__all__ = ["Check", "check_loss", "check_plugin", "run_checks"]
