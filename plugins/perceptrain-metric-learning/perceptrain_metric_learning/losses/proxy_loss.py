"""The base class of losses that train a vector, a proxy, for each class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.func import functional_call

from perceptrain.errors import DataError, ShapeError
from perceptrain_metric_learning.checks import check_counts, check_numbers
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss, Mined, label_range
from perceptrain_metric_learning.means import count_of, is_mean_over_rows, record_counts
from perceptrain_metric_learning.parts import Part, get_part
from perceptrain_metric_learning.shared_options import EmbeddingOptions, WeightInit


class ProxyLoss(EmbeddingLoss):
    """A loss whose parameters, one vector or more for each class, are trained with the model.

    A trainer moves them to the device, adds them to the optimizer as a separate group and saves
    them in checkpoints. The metric ``accuracy`` is the fraction of samples that are closest to the
    proxy of their own class, ignoring margins.

    Args:
        target: The class of the library.
        options: Its own options.
        num_classes: The number of classes; labels are ``0 ... num_classes - 1``.
        embedding_size: The dimension ``d`` of the embeddings.
        miner: Weights the samples by how often it selects them: a name, a mapping ``{"name": ...,
            **options}`` or an object of the library. Default: equal weights.
        weight_regularizer: A penalty on the proxies. Default: none.
        weight_reg_weight: The weight of that penalty.
        weight_init_func: Initializes the proxies in place. Default: that of the loss.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(
        self,
        target: Callable[..., nn.Module],
        options: Mapping[str, Any],
        *,
        num_classes: int,
        embedding_size: int,
        weight_regularizer: Part = None,
        weight_reg_weight: float = 1,
        weight_init_func: WeightInit | None = None,
        **shared: Unpack[EmbeddingOptions],
    ) -> None:
        check_counts(num_classes=num_classes, embedding_size=embedding_size)
        check_numbers(weight_reg_weight=weight_reg_weight)
        own = {
            "num_classes": num_classes,
            "embedding_size": embedding_size,
            "weight_regularizer": get_part("regularizer", weight_regularizer),
            "weight_reg_weight": weight_reg_weight,
            "weight_init_func": weight_init_func,
        }
        super().__init__(target, {**options, **own}, **shared)
        record_counts(self.criterion)
        self.num_classes = num_classes
        self.embedding_size = embedding_size

    @property
    def whole_batch(self) -> bool:
        """Whether the samples of a batch affect each other's terms, as a miner makes them."""
        return self.miner is not None or not is_mean_over_rows(self.criterion)

    def check(self, embeddings: Tensor, labels: Tensor) -> None:
        """Raise an error for embeddings of another dimension, and for labels out of range.

        Raises:
            ShapeError: The dimension is not ``embedding_size``.
            DataError: A label is out of range, or the embeddings are more precise than the proxies.
        """
        super().check(embeddings, labels)
        own = self.least_dtype()
        if torch.promote_types(embeddings.dtype, own) != own:
            # The library would cast the parameters without the optimizer noticing.
            raise DataError(
                f"The embeddings are {embeddings.dtype}, and the loss has parameters of {own}. Use "
                f"loss_fn.to({embeddings.dtype}), or let the trainer move it, with the "
                f"setting dtype={embeddings.dtype}."
            )
        if embeddings.shape[1] != self.embedding_size:
            raise ShapeError(
                f"The embeddings have the shape {tuple(embeddings.shape)}, and the loss has "
                f"embedding_size={self.embedding_size}. Set it to {embeddings.shape[1]}."
            )
        # The library would index from the end for a negative label, and fail for a large one.
        low, high = label_range(labels)
        if low < 0 or high >= self.num_classes:
            raise DataError(
                f"The labels go from {low} to {high}, and the loss has num_classes="
                f"{self.num_classes}: expected 0 to {self.num_classes - 1}. Number the classes "
                "from 0, and set num_classes to the number of classes."
            )

    def count(self, rows: int) -> int | None:
        """Return what the latest loss is a mean over, None for a sum."""
        return count_of(self.criterion, rows)

    def least_dtype(self) -> torch.dtype:
        """Return the dtype of the proxies, or float32 if that is more precise."""
        return torch.promote_types(next(self.criterion.parameters()).dtype, torch.float32)

    def evaluate(self, embeddings: Tensor, labels: Tensor, mined: Mined) -> Tensor:
        """Call the loss of the library."""
        return self._call("forward", embeddings, labels, mined)

    @torch.no_grad()
    def measure(self, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor | float]:
        """Return the fraction of samples that are closest to their own class."""
        nearest = self.scores(embeddings).argmax(1)
        return {"accuracy": (nearest == labels).double().mean()}

    def scores(self, embeddings: Tensor) -> Tensor:
        """Return the similarity to each class, larger is closer, of shape ``(N, num_classes)``.

        Embeddings have the shape ``(N, d)``, and the dtype and the device of the proxies.
        """
        return self._call("get_logits", embeddings)

    def _call(self, method: str, embeddings: Tensor, *args: Any) -> Tensor:
        """Call a method of the criterion with the proxies cast to the dtype of the embeddings."""
        result: Tensor
        weights = dict(self.criterion.named_parameters(prefix="criterion"))
        if all(weight.dtype == embeddings.dtype for weight in weights.values()):
            result = getattr(self.criterion, method)(embeddings, *args)
            return result
        # The library would cast the parameters without the optimizer noticing.
        cast = {key: weight.to(embeddings.dtype) for key, weight in weights.items()}
        result = functional_call(_Method(self.criterion, method), cast, (embeddings, *args))
        return result


class _Method(nn.Module):
    """A method of a module as a module, for `functional_call`."""

    def __init__(self, criterion: nn.Module, method: str) -> None:
        super().__init__()
        self.criterion = criterion
        self.method = method

    def forward(self, *args: Any) -> Any:
        return getattr(self.criterion, self.method)(*args)


class DistanceProxyLoss(ProxyLoss):
    """A loss with proxies that the library compares by a distance."""

    def scores(self, embeddings: Tensor) -> Tensor:
        """Return the similarity to each class, of shape ``(N, num_classes)``."""
        criterion: Any = self.criterion
        scores = super().scores(embeddings)
        return scores if criterion.distance.is_inverted else -scores
