"""Momentum without second moments: signs of the gradient, and relatives of SGD."""

from __future__ import annotations

from typing import Any, ClassVar

import pytorch_optimizer as po

from perceptrain_optimizers.optimizers.adapted import Adapted


class Lion(Adapted, po.Lion):
    """Steps by the sign of the momentum (arXiv 2302.06675).

    All elements move by ``lr``, so it needs a rate 3 to 10 times smaller than Adam.
    """

    own_defaults: ClassVar[dict[str, Any]] = {"cautious": False}


class SGDP(Adapted, po.SGDP):
    """SGD without growth of scale-invariant weights (arXiv 2006.08217)."""


class SGDW(Adapted, po.SGDW):
    """SGD with decoupled weight decay (arXiv 1711.05101)."""


class SignSGD(Adapted, po.SignSGD):
    """Steps by the sign of the gradient's average (arXiv 1802.04434)."""


class Tiger(Adapted, po.Tiger):
    """Lion with one average (Tiger)."""

    own_defaults: ClassVar[dict[str, Any]] = {"weight_decay": 0.0}
