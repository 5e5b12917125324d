"""Relatives of Adam: steps scaled element by element."""

from __future__ import annotations

from typing import Any, ClassVar

import pytorch_optimizer as po

from perceptrain_optimizers.optimizers.adapted import Adapted


class AdaBelief(Adapted, po.AdaBelief):
    """Adam, scaled by the deviation of the gradient from its average (arXiv 2010.07468)."""


class AdaBound(Adapted, po.AdaBound):
    """Adam with bounds on the rates that approach SGD (arXiv 1902.09843)."""


class AdamP(Adapted, po.AdamP):
    """Adam without growth of scale-invariant weights (arXiv 2006.08217)."""

    own_defaults: ClassVar[dict[str, Any]] = {"cautious": False}


class Adan(Adapted, po.Adan):
    """Adaptive Nesterov momentum (arXiv 2208.06677)."""


class AdEMAMix(Adapted, po.AdEMAMix):
    """Adam with a second, slow average of the gradient (arXiv 2409.03137)."""

    # Decoupled, as in the paper.
    own_defaults: ClassVar[dict[str, Any]] = {"weight_decouple": True, "cautious": False}


class ADOPT(Adapted, po.ADOPT):
    """Adam that converges with any ``beta2`` (arXiv 2411.02853)."""

    own_defaults: ClassVar[dict[str, Any]] = {"cautious": False}


class DiffGrad(Adapted, po.DiffGrad):
    """Adam with smaller steps where the gradient changes little (arXiv 1909.11015)."""


class Grams(Adapted, po.Grams):
    """Lengths of Adam's steps, directions of the gradient (arXiv 2412.17107)."""


class GrokFastAdamW(Adapted, po.GrokFastAdamW):
    """AdamW with amplified slow gradients (arXiv 2405.20233)."""


class LaProp(Adapted, po.LaProp):
    """Adam with momentum after the scaling (arXiv 2002.04839)."""

    own_defaults: ClassVar[dict[str, Any]] = {"cautious": False}


class MADGRAD(Adapted, po.MADGRAD):
    """Dual averaging with adaptive rates (arXiv 2101.11075)."""


class MARS(Adapted, po.MARS):
    """AdamW with variance reduction (arXiv 2411.10438)."""

    own_defaults: ClassVar[dict[str, Any]] = {"weight_decay_1d": 0.0}


class NovoGrad(Adapted, po.NovoGrad):
    """Adam with one second moment for each tensor (arXiv 1905.11286)."""


class Ranger(Adapted, po.Ranger):
    """Rectified Adam with lookahead and centered gradients (Ranger).

    The first steps, which Adam's second moments are not yet good for, are those of SGD. Without
    ``degenerated_to_sgd``, pytorch-optimizer 4.1 would take them uphill.
    """

    fixed: ClassVar[dict[str, Any]] = {"degenerated_to_sgd": True}


class Ranger21(Adapted, po.Ranger21):
    """AdamW with clipping, centered gradients, lookahead and more (arXiv 2106.13731).

    Its own schedule of the learning rate is off: the trainer has schedules. Therefore it needs no
    number of iterations.
    """

    own_defaults: ClassVar[dict[str, Any]] = {"weight_decay": 0.0}
    fixed: ClassVar[dict[str, Any]] = {
        "num_iterations": 1,
        "disable_lr_scheduler": True,
        "num_warm_up_iterations": 0,
        "num_warm_down_iterations": 0,
        "warm_down_min_lr": 0.0,
    }


class StableAdamW(Adapted, po.StableAdamW):
    """AdamW with clipped updates, without spikes of the loss (arXiv 2304.13013)."""

    own_defaults: ClassVar[dict[str, Any]] = {"weight_decay": 0.0}


class SWATS(Adapted, po.SWATS):
    """Adam that switches to SGD (arXiv 1712.07628)."""


class Yogi(Adapted, po.Yogi):
    """Adam with a slower growth of the rates (NeurIPS 2018)."""
