"""The normalized, temperature-scaled cross entropy."""

from __future__ import annotations

from typing import Unpack

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_positive
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.shared_options import EmbeddingOptions


class NTXentLoss(EmbeddingLoss):
    """Distinguish each positive pair from the negative pairs of its anchor, by a softmax.

    Chen, Kornblith, Norouzi, Hinton, "A simple framework for contrastive learning of visual
    representations" (SimCLR), arXiv 2002.05709. Without classes, use
    two views of each sample, with the same label for both.

    Args:
        temperature: Divides the similarities.
        distance: Between embeddings. Default: the cosine similarity.
        reducer: Reduces the terms to one number. Default: the mean.

    Raises:
        ConfigError: An option is invalid.
    """

    needs_pairs = True

    def __init__(self, *, temperature: float = 0.07, **shared: Unpack[EmbeddingOptions]) -> None:
        check_positive(temperature=temperature)
        super().__init__(losses.NTXentLoss, {"temperature": temperature}, **shared)
