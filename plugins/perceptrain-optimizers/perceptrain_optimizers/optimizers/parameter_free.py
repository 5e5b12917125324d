"""Optimizers that estimate their learning rate; ``lr`` is a factor, best left at 1."""

from __future__ import annotations

import pytorch_optimizer as po

from perceptrain_optimizers.optimizers.adapted import Adapted


class DAdaptAdaGrad(Adapted, po.DAdaptAdaGrad):
    """Adagrad that estimates its learning rate (arXiv 2301.07733)."""


class DAdaptAdam(Adapted, po.DAdaptAdam):
    """Adam that estimates its learning rate (arXiv 2301.07733)."""


class DAdaptSGD(Adapted, po.DAdaptSGD):
    """SGD that estimates its learning rate (arXiv 2301.07733)."""


class Prodigy(Adapted, po.Prodigy):
    """Adam that estimates its learning rate, faster than D-Adaptation (arXiv 2306.06101)."""
