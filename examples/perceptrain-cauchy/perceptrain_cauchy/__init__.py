"""A plugin with one loss. This file names it, and imports no torch."""

from perceptrain import Spec, hookimpl


@hookimpl
def perceptrain_losses():
    """Return the losses of this plugin."""
    return [Spec("cauchy", "perceptrain_cauchy.losses:cauchy", "Cauchy loss, robust to outliers.")]
