"""What a loss of the library is a mean over, which its reducer decides."""

from __future__ import annotations

from typing import Any

from pytorch_metric_learning import reducers, regularizers  # type: ignore[import-untyped]
from torch import nn

# Means over all terms; those with weights divide by the number of terms too.
_MEANS = (reducers.MeanReducer, reducers.ClassWeightedReducer)
_OTHERS = (reducers.SumReducer, reducers.AvgNonZeroReducer, reducers.ThresholdReducer)
# Regularizers whose terms are those of each embedding.
_BY_ROW = (regularizers.LpRegularizer, regularizers.ZeroMeanRegularizer)


def is_mean_over_rows(criterion: Any) -> bool:
    """Whether a loss with a term for each row reduces them to a mean over rows, or a sum.

    Args:
        criterion: A loss of the library whose term of a row depends on no other row.
    """
    reducer = _term_reducer(criterion)
    embedding, weight = criterion.embedding_regularizer, criterion.weight_regularizer
    if reducer is None or (embedding is None and weight is None):
        return reducer is not None
    by_row = type(embedding) in _BY_ROW and type(embedding.reducer) is reducers.MeanReducer
    return type(reducer) in _MEANS and (embedding is None or by_row)


def record_counts(criterion: Any) -> None:
    """Let the reducer of a loss record how many terms it reduces, for `count_of`."""
    reducer: Any = _term_reducer(criterion)
    if reducer is not None:
        reducer.collect_stats = True


def count_of(criterion: Any, rows: int) -> int | None:
    """Return what the latest value of a loss is a mean over; ``None`` if it is a sum.

    Args:
        criterion: A loss of the library, prepared by `record_counts`.
        rows: The number of rows, the count of a loss with other reducers.
    """
    reducer: Any = _term_reducer(criterion)
    if type(reducer) is reducers.SumReducer:
        return None
    if isinstance(reducer, reducers.ThresholdReducer):
        return int(reducer.num_past_filter)
    return rows if reducer is None else int(reducer.losses_size)


def _term_reducer(criterion: Any) -> nn.Module | None:
    """Return the reducer of the terms of rows; None if it is not a known one."""
    reducer = criterion.reducer
    if isinstance(reducer, reducers.MultipleReducers):
        reducer = dict(reducer.reducers.items()).get("loss")
    if isinstance(reducer, reducers.PerAnchorReducer):
        reducer = reducer.reducer  # a row is its own anchor
    return reducer if type(reducer) in (*_MEANS, *_OTHERS) else None
