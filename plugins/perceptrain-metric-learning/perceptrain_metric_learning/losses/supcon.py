"""The supervised contrastive loss."""

from __future__ import annotations

from typing import Unpack

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_positive
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.shared_options import EmbeddingOptions


class SupConLoss(EmbeddingLoss):
    """Distinguish the samples of an anchor's class from all others, by a softmax.

    Khosla et al., "Supervised contrastive learning", arXiv 2004.11362.

    Args:
        temperature: Divides the similarities.
        distance: Between embeddings. Default: the cosine similarity.
        reducer: Reduces the terms to one number. Default: the mean of the terms above 0.

    Raises:
        ConfigError: An option is invalid.
    """

    needs_pairs = True

    def __init__(self, *, temperature: float = 0.1, **shared: Unpack[EmbeddingOptions]) -> None:
        check_positive(temperature=temperature)
        super().__init__(losses.SupConLoss, {"temperature": temperature}, **shared)
