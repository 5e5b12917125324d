"""Optimizers and losses on pytorch-optimizer: SOAP, Muon, schedule-free, Lion, Prodigy and others.

Importing this package imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping

from perceptrain import Spec, hookimpl, lazy_exports

with lazy_exports(__name__):
    from perceptrain_optimizers.losses.bi_tempered import bi_tempered_loss as bi_tempered_loss
    from perceptrain_optimizers.losses.focal import binary_focal_loss as binary_focal_loss
    from perceptrain_optimizers.losses.focal import class_focal_loss as class_focal_loss
    from perceptrain_optimizers.losses.ldam import ldam_loss as ldam_loss
    from perceptrain_optimizers.losses.soft_f1 import soft_f1_loss as soft_f1_loss
    from perceptrain_optimizers.optimizers.adaptive import ADOPT as ADOPT
    from perceptrain_optimizers.optimizers.adaptive import MADGRAD as MADGRAD
    from perceptrain_optimizers.optimizers.adaptive import MARS as MARS
    from perceptrain_optimizers.optimizers.adaptive import SWATS as SWATS
    from perceptrain_optimizers.optimizers.adaptive import AdaBelief as AdaBelief
    from perceptrain_optimizers.optimizers.adaptive import AdaBound as AdaBound
    from perceptrain_optimizers.optimizers.adaptive import AdamP as AdamP
    from perceptrain_optimizers.optimizers.adaptive import Adan as Adan
    from perceptrain_optimizers.optimizers.adaptive import AdEMAMix as AdEMAMix
    from perceptrain_optimizers.optimizers.adaptive import DiffGrad as DiffGrad
    from perceptrain_optimizers.optimizers.adaptive import Grams as Grams
    from perceptrain_optimizers.optimizers.adaptive import GrokFastAdamW as GrokFastAdamW
    from perceptrain_optimizers.optimizers.adaptive import LaProp as LaProp
    from perceptrain_optimizers.optimizers.adaptive import NovoGrad as NovoGrad
    from perceptrain_optimizers.optimizers.adaptive import Ranger as Ranger
    from perceptrain_optimizers.optimizers.adaptive import Ranger21 as Ranger21
    from perceptrain_optimizers.optimizers.adaptive import StableAdamW as StableAdamW
    from perceptrain_optimizers.optimizers.adaptive import Yogi as Yogi
    from perceptrain_optimizers.optimizers.lookahead import Lookahead as Lookahead
    from perceptrain_optimizers.optimizers.matrices import SOAP as SOAP
    from perceptrain_optimizers.optimizers.matrices import Kron as Kron
    from perceptrain_optimizers.optimizers.matrices import Shampoo as Shampoo
    from perceptrain_optimizers.optimizers.momentum import SGDP as SGDP
    from perceptrain_optimizers.optimizers.momentum import SGDW as SGDW
    from perceptrain_optimizers.optimizers.momentum import Lion as Lion
    from perceptrain_optimizers.optimizers.momentum import SignSGD as SignSGD
    from perceptrain_optimizers.optimizers.momentum import Tiger as Tiger
    from perceptrain_optimizers.optimizers.muon import AdaMuon as AdaMuon
    from perceptrain_optimizers.optimizers.muon import MuonAdamW as MuonAdamW
    from perceptrain_optimizers.optimizers.muon import NorMuon as NorMuon
    from perceptrain_optimizers.optimizers.parameter_free import DAdaptAdaGrad as DAdaptAdaGrad
    from perceptrain_optimizers.optimizers.parameter_free import DAdaptAdam as DAdaptAdam
    from perceptrain_optimizers.optimizers.parameter_free import DAdaptSGD as DAdaptSGD
    from perceptrain_optimizers.optimizers.parameter_free import Prodigy as Prodigy
    from perceptrain_optimizers.optimizers.sam import SAM as SAM
    from perceptrain_optimizers.optimizers.scaled import CAME as CAME
    from perceptrain_optimizers.optimizers.scaled import LAMB as LAMB
    from perceptrain_optimizers.optimizers.scaled import LARS as LARS
    from perceptrain_optimizers.optimizers.scaled import SM3 as SM3
    from perceptrain_optimizers.optimizers.schedule_free import (
        ScheduleFreeAdamW as ScheduleFreeAdamW,
    )
    from perceptrain_optimizers.optimizers.schedule_free import (
        ScheduleFreeRAdam as ScheduleFreeRAdam,
    )
    from perceptrain_optimizers.optimizers.schedule_free import ScheduleFreeSGD as ScheduleFreeSGD

_OPTIMIZERS: Mapping[str, Mapping[str, str]] = {
    "adaptive": {
        "adabelief:AdaBelief": "Adam scaled by the gradient's deviation (arXiv 2010.07468).",
        "adabound:AdaBound": "Adam with bounds on the rates, ending as SGD (arXiv 1902.09843).",
        "adamp:AdamP": "Adam for scale-invariant weights (arXiv 2006.08217).",
        "adan:Adan": "Adaptive Nesterov momentum (arXiv 2208.06677).",
        "ademamix:AdEMAMix": "Adam with a second, slow momentum (arXiv 2409.03137).",
        "adopt:ADOPT": "Adam that converges with any beta2 (arXiv 2411.02853).",
        "diffgrad:DiffGrad": "Adam, slower where the gradient is steady (arXiv 1909.11015).",
        "grams:Grams": "Adam's step lengths, the gradient's signs (arXiv 2412.17107).",
        "grokfast_adamw:GrokFastAdamW": "AdamW, slow gradients amplified (arXiv 2405.20233).",
        "laprop:LaProp": "Adam with momentum after the scaling (arXiv 2002.04839).",
        "madgrad:MADGRAD": "Dual averaging with adaptive rates (arXiv 2101.11075).",
        "mars:MARS": "AdamW with variance reduction (arXiv 2411.10438).",
        "novograd:NovoGrad": "Adam with one second moment per tensor (arXiv 1905.11286).",
        "ranger:Ranger": "Rectified Adam with lookahead and centered gradients.",
        "ranger21:Ranger21": "AdamW with clipping, lookahead and more (arXiv 2106.13731).",
        "stable_adamw:StableAdamW": "AdamW with clipped updates (arXiv 2304.13013).",
        "swats:SWATS": "Adam that switches to SGD (arXiv 1712.07628).",
        "yogi:Yogi": "Adam with slower growth of the rates (NeurIPS 2018).",
    },
    "lookahead": {"lookahead:Lookahead": "Another optimizer with lookahead (arXiv 1907.08610)."},
    "matrices": {
        "kron:Kron": "PSGD with Kronecker-factored preconditioners (arXiv 1512.04202).",
        "shampoo:Shampoo": "Steps preconditioned along each dimension (arXiv 1802.09568).",
        "soap:SOAP": "Adam in the eigenbasis of Shampoo (arXiv 2409.11321).",
    },
    "momentum": {
        "lion:Lion": "Steps by the sign of the momentum (arXiv 2302.06675).",
        "sgdp:SGDP": "SGD for scale-invariant weights (arXiv 2006.08217).",
        "sgdw:SGDW": "SGD with decoupled weight decay (arXiv 1711.05101).",
        "sign_sgd:SignSGD": "Steps by the sign of the averaged gradient (arXiv 1802.04434).",
        "tiger:Tiger": "Lion with a single average.",
    },
    "muon": {
        "adamuon:AdaMuon": "Muon with second moments, AdamW for vectors (arXiv 2507.11005).",
        "muon_adamw:MuonAdamW": "Muon for matrices, AdamW for all else.",
        "normuon:NorMuon": "Muon with normalized rows, AdamW for vectors (arXiv 2510.05491).",
    },
    "parameter_free": {
        "dadapt_adagrad:DAdaptAdaGrad": "Adagrad, estimates its rate (arXiv 2301.07733).",
        "dadapt_adam:DAdaptAdam": "Adam, estimates its rate (arXiv 2301.07733).",
        "dadapt_sgd:DAdaptSGD": "SGD, estimates its rate (arXiv 2301.07733).",
        "prodigy:Prodigy": "Adam, estimates its rate quickly (arXiv 2306.06101).",
    },
    "sam": {"sam:SAM": "Another optimizer, sharpness-aware (arXiv 2010.01412)."},
    "scaled": {
        "came:CAME": "Adafactor with confidence in its factors (arXiv 2307.02047).",
        "lamb:LAMB": "Adam scaled for each layer, for large batches (arXiv 1904.00962).",
        "lars:LARS": "SGD scaled for each layer, for large batches (arXiv 1708.03888).",
        "sm3:SM3": "Adagrad with the memory of rows and columns (arXiv 1901.11150).",
    },
    "schedule_free": {
        "schedule_free_adamw:ScheduleFreeAdamW": "AdamW without a schedule (arXiv 2405.15682).",
        "schedule_free_radam:ScheduleFreeRAdam": "RAdam without a schedule (arXiv 2405.15682).",
        "schedule_free_sgd:ScheduleFreeSGD": "SGD without a schedule (arXiv 2405.15682).",
    },
}


@hookimpl
def perceptrain_optimizers() -> list[Spec]:
    """Offer the optimizers."""
    module = "perceptrain_optimizers.optimizers"
    return [
        Spec(name.partition(":")[0], f"{module}.{file}:{name.partition(':')[2]}", summary)
        for file, summaries in _OPTIMIZERS.items()
        for name, summary in summaries.items()
    ]


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the losses."""
    module, indices = "perceptrain_optimizers.losses", "Batch: (inputs, class indices)."
    binary = "Batch: (inputs, labels in [0, 1])."
    return [
        Spec(
            "bi_tempered",
            f"{module}.bi_tempered:bi_tempered_loss",
            f"Bounded, for wrong labels (arXiv 1906.03361). {indices}",
        ),
        Spec(
            "binary_focal",
            f"{module}.focal:binary_focal_loss",
            f"Binary cross entropy, easy rows weighted down (arXiv 1708.02002). {binary}",
        ),
        Spec(
            "class_focal",
            f"{module}.focal:class_focal_loss",
            f"Cross entropy, easy rows weighted down (arXiv 1708.02002). {indices}",
        ),
        Spec(
            "ldam",
            f"{module}.ldam:ldam_loss",
            f"Cross entropy, larger margins for rare classes (arXiv 1906.07413). {indices}",
        ),
        Spec("soft_f1", f"{module}.soft_f1:soft_f1_loss", f"One minus a smooth F score. {binary}"),
    ]
