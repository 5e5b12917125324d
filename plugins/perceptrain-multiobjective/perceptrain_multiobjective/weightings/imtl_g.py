"""A combination that is equally long along all gradients."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchjd.aggregation import IMTLGWeighting

from perceptrain_multiobjective.aggregated import Aggregated, Rule


class IMTLG(Aggregated):
    """IMTL-G: the combination whose projections on all gradients are the same.

    L. Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, the part that balances
    gradients. The weights add up to 1; one may be negative.

    Args:
        every: The steps from one change to the next; the first step is one.

    Raises:
        ConfigError: An argument cannot be.
    """

    def __init__(self, every: int = 1) -> None:
        super().__init__(every)

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Make the rule of torchjd."""
        return IMTLGWeighting()
