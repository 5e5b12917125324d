"""Multi-objective weightings on torchjd: PCGrad, MGDA, CAGrad, Nash-MTL, UPGrad and others.

Importing this package imports no torch.
"""

from __future__ import annotations

from perceptrain import Spec, hookimpl, lazy_exports

with lazy_exports(__name__):
    from perceptrain_multiobjective.aggregated import Aggregated as Aggregated
    from perceptrain_multiobjective.weightings.aligned_mtl import AlignedMTL as AlignedMTL
    from perceptrain_multiobjective.weightings.cagrad import CAGrad as CAGrad
    from perceptrain_multiobjective.weightings.config import ConFIG as ConFIG
    from perceptrain_multiobjective.weightings.dual_proj import DualProj as DualProj
    from perceptrain_multiobjective.weightings.fairgrad import FairGrad as FairGrad
    from perceptrain_multiobjective.weightings.imtl_g import IMTLG as IMTLG
    from perceptrain_multiobjective.weightings.mgda import MGDA as MGDA
    from perceptrain_multiobjective.weightings.nash_mtl import NashMTL as NashMTL
    from perceptrain_multiobjective.weightings.pcgrad import PCGrad as PCGrad
    from perceptrain_multiobjective.weightings.upgrad import UPGrad as UPGrad


@hookimpl
def perceptrain_weightings() -> list[Spec]:
    """Offer the rules of torchjd as weightings."""
    return [
        Spec(
            "pcgrad",
            PCGrad,
            "Removes conflicting components from each gradient (arXiv 2001.06782).",
        ),
        Spec(
            "mgda",
            MGDA,
            "Minimum-norm convex combination of the gradients (MGDA, arXiv 1810.04650).",
        ),
        Spec(
            "imtl_g",
            IMTLG,
            "Equal projections onto all gradients (IMTL-G, ICLR 2021).",
        ),
        Spec(
            "aligned_mtl",
            AlignedMTL,
            "Makes the gradients orthogonal and equally long (arXiv 2305.19000).",
        ),
        Spec(
            "config",
            ConFIG,
            "Direction at the same angle to all gradients (ConFIG, arXiv 2408.11104).",
        ),
        Spec(
            "upgrad",
            UPGrad,
            "Mean of gradients projected to avoid conflicts (arXiv 2406.16232). Needs a solver.",
        ),
        Spec(
            "dual_proj",
            DualProj,
            "Mean gradient, projected to avoid conflicts (arXiv 1706.08840). Needs a solver.",
        ),
        Spec(
            "cagrad",
            CAGrad,
            "Mean gradient, turned to the worst term (arXiv 2110.14048). Needs a solver.",
        ),
        Spec(
            "fairgrad",
            FairGrad,
            "Alpha-fair improvement of all terms (arXiv 2402.15638). Needs a solver.",
        ),
        Spec(
            "nash_mtl",
            NashMTL,
            "Bargaining game of the terms (Nash-MTL, arXiv 2202.01017). Needs a solver.",
        ),
    ]
