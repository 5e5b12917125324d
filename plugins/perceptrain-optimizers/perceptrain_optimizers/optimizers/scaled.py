"""Optimizers for large batches, and with little memory."""

from __future__ import annotations

import pytorch_optimizer as po

from perceptrain_optimizers.optimizers.adapted import Adapted


class CAME(Adapted, po.CAME):
    """Adafactor, guided by the confidence in its factors (arXiv 2307.02047)."""


class LAMB(Adapted, po.Lamb):
    """Adam with steps scaled for each layer, for large batches (arXiv 1904.00962).

    The gradients are first scaled down to a total norm of ``max_grad_norm``; 0 does not.
    """


class LARS(Adapted, po.LARS):
    """SGD with steps scaled for each layer, for large batches (arXiv 1708.03888).

    The step of a matrix is ``lr * trust_coefficient`` times as long as its weights. Vectors move as
    by SGD, so a rate of 0.1 or more can be too large for them.
    """


class SM3(Adapted, po.SM3):
    """Adagrad with the memory of rows and columns (arXiv 1901.11150)."""
