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
            "Gradients less what conflicts with the others (arXiv 2001.06782).",
        ),
        Spec(
            "mgda",
            MGDA,
            "The convex combination of the gradients of least norm (MGDA, arXiv 1810.04650).",
        ),
        Spec(
            "imtl_g",
            IMTLG,
            "A combination equally long along all gradients (IMTL-G, ICLR 2021).",
        ),
        Spec(
            "aligned_mtl",
            AlignedMTL,
            "Gradients made orthogonal and equally long (arXiv 2305.19000).",
        ),
        Spec(
            "config",
            ConFIG,
            "The direction at one angle with all gradients (ConFIG, arXiv 2408.11104).",
        ),
        Spec(
            "upgrad",
            UPGrad,
            "A mean of projections without conflicts (arXiv 2406.16232). Solver.",
        ),
        Spec(
            "dual_proj",
            DualProj,
            "The mean gradient, projected to conflict with none (arXiv 1706.08840). Solver.",
        ),
        Spec(
            "cagrad",
            CAGrad,
            "The mean gradient, turned to the worst term (arXiv 2110.14048). Solver.",
        ),
        Spec(
            "fairgrad",
            FairGrad,
            "Gains that are fair to all terms (arXiv 2402.15638). Solver.",
        ),
        Spec(
            "nash_mtl",
            NashMTL,
            "A bargain between the terms (Nash-MTL, arXiv 2202.01017). Solver.",
        ),
    ]
