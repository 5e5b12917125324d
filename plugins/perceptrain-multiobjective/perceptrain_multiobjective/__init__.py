"""Multi-objective weightings on torchjd: PCGrad, MGDA, CAGrad, Nash-MTL, UPGrad and others.

Importing this module imports no torch: each name is fetched from its home when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perceptrain import Spec, hookimpl

if TYPE_CHECKING:
    from perceptrain_multiobjective.aggregated import Aggregated
    from perceptrain_multiobjective.weightings.aligned_mtl import AlignedMTL
    from perceptrain_multiobjective.weightings.cagrad import CAGrad
    from perceptrain_multiobjective.weightings.config import ConFIG
    from perceptrain_multiobjective.weightings.dual_proj import DualProj
    from perceptrain_multiobjective.weightings.fairgrad import FairGrad
    from perceptrain_multiobjective.weightings.imtl_g import IMTLG
    from perceptrain_multiobjective.weightings.mgda import MGDA
    from perceptrain_multiobjective.weightings.nash_mtl import NashMTL
    from perceptrain_multiobjective.weightings.pcgrad import PCGrad
    from perceptrain_multiobjective.weightings.upgrad import UPGrad

#: Where each public name lives.
_HOMES = {
    "Aggregated": "aggregated",
    "AlignedMTL": "weightings.aligned_mtl",
    "CAGrad": "weightings.cagrad",
    "ConFIG": "weightings.config",
    "DualProj": "weightings.dual_proj",
    "FairGrad": "weightings.fairgrad",
    "IMTLG": "weightings.imtl_g",
    "MGDA": "weightings.mgda",
    "NashMTL": "weightings.nash_mtl",
    "PCGrad": "weightings.pcgrad",
    "UPGrad": "weightings.upgrad",
}

__all__ = [
    "Aggregated",
    "AlignedMTL",
    "CAGrad",
    "ConFIG",
    "DualProj",
    "FairGrad",
    "IMTLG",
    "MGDA",
    "NashMTL",
    "PCGrad",
    "UPGrad",
]


@hookimpl
def perceptrain_weightings() -> list[Spec]:
    """Offer the rules of torchjd as weightings."""
    home = "perceptrain_multiobjective.weightings"
    return [
        Spec(
            "pcgrad",
            f"{home}.pcgrad:PCGrad",
            "Gradients less what conflicts with the others (arXiv 2001.06782).",
        ),
        Spec(
            "mgda",
            f"{home}.mgda:MGDA",
            "The convex combination of the gradients of least norm (MGDA, arXiv 1810.04650).",
        ),
        Spec(
            "imtl_g",
            f"{home}.imtl_g:IMTLG",
            "A combination equally long along all gradients (IMTL-G, ICLR 2021).",
        ),
        Spec(
            "aligned_mtl",
            f"{home}.aligned_mtl:AlignedMTL",
            "Gradients made orthogonal and equally long (arXiv 2305.19000).",
        ),
        Spec(
            "config",
            f"{home}.config:ConFIG",
            "The direction at one angle with all gradients (ConFIG, arXiv 2408.11104).",
        ),
        Spec(
            "upgrad",
            f"{home}.upgrad:UPGrad",
            "A mean of projections without conflicts (arXiv 2406.16232). Solver.",
        ),
        Spec(
            "dual_proj",
            f"{home}.dual_proj:DualProj",
            "The mean gradient, projected to conflict with none (arXiv 1706.08840). Solver.",
        ),
        Spec(
            "cagrad",
            f"{home}.cagrad:CAGrad",
            "The mean gradient, turned to the worst term (arXiv 2110.14048). Solver.",
        ),
        Spec(
            "fairgrad",
            f"{home}.fairgrad:FairGrad",
            "Gains that are fair to all terms (arXiv 2402.15638). Solver.",
        ),
        Spec(
            "nash_mtl",
            f"{home}.nash_mtl:NashMTL",
            "A bargain between the terms (Nash-MTL, arXiv 2202.01017). Solver.",
        ),
    ]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
