"""Optimizers that use the shape of a weight: a preconditioner for each of its dimensions."""

from __future__ import annotations

from typing import Any, ClassVar

import pytorch_optimizer as po

from perceptrain.optimizers import same_random_numbers
from perceptrain_optimizers.optimizers.adapted import Adapted


class Kron(Adapted, po.Kron):
    """PSGD with Kronecker-factored preconditioners (arXiv 1512.04202).

    It draws random numbers of torch and NumPy, which checkpoints save; several processes use those
    of the first.
    """

    # The dtype of the parameters. float32 would fail with float64.
    own_defaults: ClassVar[dict[str, Any]] = {"precondition_dtype": None}

    def step(self, closure: Any = None) -> Any:
        """Take a step, the same in all processes."""
        with same_random_numbers(numpy=True):
            return super().step(closure)


class Shampoo(Adapted, po.Shampoo):
    """Steps preconditioned along each dimension (arXiv 1802.09568)."""


class SOAP(Adapted, po.SOAP):
    """Adam in the eigenbasis of Shampoo's preconditioners (arXiv 2409.11321).

    The first step only initializes the preconditioners, and changes no parameter. Weight decay is
    0.01 in pytorch-optimizer, 0 here.
    """

    own_defaults: ClassVar[dict[str, Any]] = {"weight_decay": 0.0}
