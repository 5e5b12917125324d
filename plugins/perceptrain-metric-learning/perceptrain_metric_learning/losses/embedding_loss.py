"""The base class of all losses: it calls a loss of the library on embeddings and class labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

import torch
from pytorch_metric_learning.reducers import (  # type: ignore[import-untyped]
    AvgNonZeroReducer,
    ClassWeightedReducer,
    MultipleReducers,
    ThresholdReducer,
)
from torch import Tensor, nn

from perceptrain import Counted, gather_rows, is_capturing, values_are_checked, warn_user
from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain_metric_learning.checks import check_flags, check_numbers
from perceptrain_metric_learning.parts import Part, build, get_part
from perceptrain_metric_learning.shared_options import complete

#: The indices that a miner selected: three tensors for triplets, four for pairs, None for all.
Mined: TypeAlias = tuple[Tensor, ...] | None


class EmbeddingLoss(nn.Module):
    """A loss of pytorch-metric-learning with the contract ``loss_fn(batch, model)``.

    The loss is computed in float32 or higher precision, even under autocast: half precision is too
    coarse for similarities divided by small temperatures.

    Args:
        target: The class of the library.
        options: Its own options.
        miner: Selects the pairs or triplets that count: a name, a mapping ``{"name": ...,
            **options}`` or an object of the library. Default: all count.
        distance: Between embeddings, in one of the same forms. Default: that of the loss.
        reducer: Reduces the terms to one number. Default: that of the loss.
        embedding_regularizer: A penalty on the embeddings. Default: none.
        embedding_reg_weight: The weight of that penalty.
        gather: Whether to compare the samples of all processes in training, as one process with
            the whole batch does. In validation and test each process compares its own.

    Attributes:
        criterion: The loss of the library, called with embeddings, labels and mined indices.
        miner: The miner of the library, or None.

    Raises:
        ConfigError: An option is invalid.
    """

    #: The parts of the loss whose non-zero terms are counted, and the metrics of their numbers.
    active: ClassVar[Mapping[str, str]] = {}
    #: Whether a batch must have several classes, and several samples of one.
    needs_pairs: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        complete(cls)

    def __init__(
        self,
        target: Callable[..., nn.Module],
        options: Mapping[str, Any],
        *,
        miner: Part = None,
        distance: Part = None,
        reducer: Part = None,
        embedding_regularizer: Part = None,
        embedding_reg_weight: float = 1,
        gather: bool = False,
    ) -> None:
        super().__init__()
        check_numbers(embedding_reg_weight=embedding_reg_weight)
        check_flags(gather=gather)
        self.gather = gather
        own = get_part("reducer", reducer)
        if own is None and self.active:
            # Their default reducer, with statistics on.
            own = AvgNonZeroReducer(collect_stats=True)
        parts = {
            "distance": get_part("distance", distance),
            "reducer": own,
            "embedding_regularizer": get_part("regularizer", embedding_regularizer),
            "embedding_reg_weight": embedding_reg_weight,
        }
        self.criterion = build(type(self).__name__, target, {**options, **parts})
        self.miner = get_part("miner", miner)

    @property
    def whole_batch(self) -> bool:
        """Whether the loss compares the samples of a batch with each other."""
        return True

    def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, Counted]:
        """Evaluate the loss.

        Args:
            batch: ``(inputs, labels)``, the labels integers of shape ``(N,)``.
            model: Returns embeddings of shape ``(N, d)``, of a real floating dtype.

        Returns:
            The loss, and counts as metrics: how many pairs or triplets the miner selected, and how
            many terms are not 0. For a batch without pairs or triplets, the loss and its gradient
            are 0.

        Raises:
            DataError: The batch is not such a pair or is empty, the labels are not integers, or a
                label has no weight in a reducer.
            ShapeError: The shapes do not fit.
            ConfigError: A reducer or regularizer does not fit the loss.

        Warns:
            UserWarning: The first batch of a training has no two samples of one class, or only one
                class.
        """
        inputs, labels = _split(batch)
        embeddings, labels = _fitting(model(inputs), labels)
        if not is_capturing():
            self.check(embeddings, labels)
        embeddings = embeddings.to(torch.promote_types(embeddings.dtype, self.least_dtype()))
        gather = self.gather and model.training and torch.is_grad_enabled()
        if gather:
            embeddings, labels = gather_rows(embeddings), gather_rows(labels)
        if self.needs_pairs and torch.is_grad_enabled() and values_are_checked():
            self._warn_of_missing_pairs(labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            mined, loss = self._mine_and_evaluate(embeddings, labels)
            metrics = {**_mined(mined), **self._active(), **self.measure(embeddings, labels)}
        # Gathered rows make one loss, which counts the same in each process.
        rows = len(embeddings)
        counts = dict.fromkeys(metrics, rows)
        return loss, Counted(metrics, counts | {"loss": rows if gather else self.count(rows)})

    def count(self, rows: int) -> int | None:
        """Return what the latest loss is a mean over, None for a sum; by default the rows."""
        return rows

    def check(self, embeddings: Tensor, labels: Tensor) -> None:
        """Raise an error for embeddings or labels that this loss does not support.

        Raises:
            DataError: A class has no weight in a reducer.
        """
        for part in self.criterion.modules():
            if isinstance(part, ClassWeightedReducer):
                # The library would index from the end for a negative label; a GPU would abort.
                low, high = label_range(labels)
                if low < 0 or high >= len(part.weights):
                    raise DataError(
                        f"The labels go from {low} to {high}, and the reducer has "
                        f"{len(part.weights)} weights: expected 0 to {len(part.weights) - 1}. Set "
                        "a weight for each class."
                    )

    def least_dtype(self) -> torch.dtype:
        """Return the dtype to which embeddings of lower precision are cast."""
        return torch.float32

    def evaluate(self, embeddings: Tensor, labels: Tensor, mined: Mined) -> Tensor:
        """Call the loss of the library."""
        loss: Tensor = self.criterion(embeddings, labels, mined)
        return loss

    def measure(self, embeddings: Tensor, labels: Tensor) -> dict[str, Tensor | float]:
        """Return further metrics; by default none."""
        return {}

    def _warn_of_missing_pairs(self, labels: Tensor) -> None:
        sizes = torch.unique(labels, return_counts=True)[1]
        if len(sizes) > 1 and sizes.max() > 1:
            return
        lack = "all in one class" if len(sizes) == 1 else "each in a class of its own"
        warn_user(
            f"The {len(labels)} samples of the first batch are {lack}; {type(self).__name__} "
            "compares samples of the same class with those of others. Shuffle the data, use a "
            "larger batch_size, or a sampler such as MPerClassSampler.",
        )

    def _mine_and_evaluate(self, embeddings: Tensor, labels: Tensor) -> tuple[Mined, Tensor]:
        try:
            mined = None if self.miner is None else self.miner(embeddings, labels)
            return mined, self.evaluate(embeddings, labels, mined)
        except Exception as error:
            if is_capturing():
                raise
            if not embeddings.isfinite().all():
                # Some miners fail on NaN. Return a NaN loss, which the trainer handles.
                return None, (embeddings * torch.nan).sum()
            if isinstance(error, IndexError | NotImplementedError):
                parts = ", ".join(type(part).__name__ for part in self.criterion.children())
                raise ConfigError(
                    f"{type(self).__name__} of {parts} cannot be evaluated: {error}. Use "
                    "another reducer or regularizer, or other options for it."
                ) from error
            raise

    def _active(self) -> dict[str, float]:
        reducer: Any = self.criterion.reducer
        each = reducer.reducers if isinstance(reducer, MultipleReducers) else {"loss": reducer}
        return {
            metric: float(each[term].num_past_filter)
            for term, metric in self.active.items()
            if term in each
            and isinstance(each[term], ThresholdReducer)
            and each[term].collect_stats
        }


def label_range(labels: Tensor) -> tuple[int, int]:
    """Return the smallest and the largest label, in one transfer from the device."""
    low, high = torch.stack(labels.aminmax()).tolist()
    return low, high


def _split(batch: Any) -> tuple[Any, Tensor]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        expected = "expected (inputs, labels), with an integer class label for each input."
        raise DataError(f"The batch is {_describe(batch)}; {expected}{_pairing(batch)}")
    inputs, labels = batch
    if not isinstance(labels, Tensor):
        raise DataError(
            f"The labels are {type(labels).__name__}; expected a tensor of integers, the class of "
            "each input. Use torch.as_tensor(labels)."
        )
    if labels.is_floating_point() or labels.is_complex():
        raise DataError(
            f"The labels are {labels.dtype} of shape {tuple(labels.shape)}; expected integers of "
            "shape (N,), the class of each input. Use labels.long() if they are classes that were "
            "cast, labels.argmax(1) if they are one-hot, and classes = true for a column of a file "
            "in a run file."
        )
    return inputs, labels


def _fitting(embeddings: Any, labels: Tensor) -> tuple[Tensor, Tensor]:
    if not isinstance(embeddings, Tensor) or not embeddings.is_floating_point():
        given = embeddings.dtype if isinstance(embeddings, Tensor) else _describe(embeddings)
        raise DataError(
            f"The model returned {given}; expected one real tensor of embeddings, of shape (N, d)."
        )
    if embeddings.ndim != 2:
        raise ShapeError(
            f"The model returned embeddings of shape {tuple(embeddings.shape)}; expected (N, d), a "
            "row for each input. If it returns more dimensions, end the model with nn.Flatten()."
        )
    if labels.shape != embeddings.shape[:1]:
        raise ShapeError(
            f"The labels have the shape {tuple(labels.shape)} and the embeddings "
            f"{tuple(embeddings.shape)}; expected labels of shape ({len(embeddings)},). "
            + _reshaping(labels, len(embeddings))
        )
    if not len(labels):
        raise DataError("The batch is empty; expected at least one input. Use drop_last or filter.")
    return embeddings, labels.to(embeddings.device, torch.int64)


def _describe(value: Any) -> str:
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return f"{type(value).__name__}{size}"


def _pairing(batch: Any) -> str:
    if isinstance(batch, Mapping):
        keys = ", ".join(map(repr, batch))
        return (
            f" It has {keys}: make the pair in a function, such as lambda batch, model: "
            "loss_fn((batch[INPUTS], batch[LABELS]), model)."
        )
    if isinstance(batch, tuple | list) and len(batch) > 2:
        return " Group the inputs: ((input_1, input_2), labels)."
    return ""


def _reshaping(labels: Tensor, size: int) -> str:
    if labels.shape == (size, 1):
        return "Use labels.squeeze(1)."
    if labels.ndim == 2 and len(labels) == size:
        return "Use labels.argmax(1) if they are one-hot."
    return "Provide one class for each input."


def _mined(indices: Mined) -> dict[str, float]:
    if indices is None:
        return {}
    if len(indices) == 3:
        return {"mined_triplets": float(len(indices[0]))}
    return {
        "mined_positive_pairs": float(len(indices[0])),
        "mined_negative_pairs": float(len(indices[2])),
    }
