"""The conformance kit: does a plugin, a loss or a weighting keep the contract?"""

from perceptrain_core.testing.checks import Check
from perceptrain_core.testing.loss import check_loss
from perceptrain_core.testing.plugin import check_plugin, run_checks
from perceptrain_core.testing.weighting import check_weighting

__all__ = ["Check", "check_loss", "check_plugin", "check_weighting", "run_checks"]
