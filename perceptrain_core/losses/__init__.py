"""The built-in losses, one per file, and `supervised`, which wraps other criteria."""

from perceptrain_core.losses.bce_with_logits import bce_with_logits_loss
from perceptrain_core.losses.cosine_embedding import cosine_embedding_loss
from perceptrain_core.losses.cross_entropy import cross_entropy_loss
from perceptrain_core.losses.gaussian_nll import gaussian_nll_loss
from perceptrain_core.losses.grad_weighted import GradWeightedLoss
from perceptrain_core.losses.huber import huber_loss
from perceptrain_core.losses.kl_div import kl_div_loss
from perceptrain_core.losses.l1 import l1_loss
from perceptrain_core.losses.mse import mse_loss
from perceptrain_core.losses.multi_margin import multi_margin_loss
from perceptrain_core.losses.nll import nll_loss
from perceptrain_core.losses.poisson_nll import poisson_nll_loss
from perceptrain_core.losses.quantile import quantile_loss
from perceptrain_core.losses.relative_l2 import relative_l2_loss
from perceptrain_core.losses.smooth_l1 import smooth_l1_loss
from perceptrain_core.losses.soft_margin import soft_margin_loss
from perceptrain_core.losses.supervised import supervised
from perceptrain_core.losses.weighted import WeightedLoss

__all__ = [
    "GradWeightedLoss",
    "WeightedLoss",
    "bce_with_logits_loss",
    "cosine_embedding_loss",
    "cross_entropy_loss",
    "gaussian_nll_loss",
    "huber_loss",
    "kl_div_loss",
    "l1_loss",
    "mse_loss",
    "multi_margin_loss",
    "nll_loss",
    "poisson_nll_loss",
    "quantile_loss",
    "relative_l2_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "supervised",
]
