"""Schedule-free optimizers (arXiv 2405.15682): they evaluate an average of the weights.

The trainer evaluates, saves and returns the average, and trains the other weights.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytorch_optimizer as po

from perceptrain_optimizers.optimizers.adapted import Adapted


class ScheduleFreeAdamW(Adapted, po.ScheduleFreeAdamW):
    """AdamW that needs no schedule of the learning rate."""


class ScheduleFreeRAdam(Adapted, po.ScheduleFreeRAdam):
    """Rectified Adam that needs neither a schedule of the learning rate nor a warm-up."""


class ScheduleFreeSGD(Adapted, po.ScheduleFreeSGD):
    """SGD that needs no schedule of the learning rate.

    The rate is 1 in pytorch-optimizer, at which small networks diverge; 0.1 here.
    """

    own_defaults: ClassVar[dict[str, Any]] = {"lr": 0.1}
