"""Miners, distances, reducers and regularizers of the library, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from re import search
from typing import Any, TypeAlias

import torch
from pytorch_metric_learning import (  # type: ignore[import-untyped]
    distances,
    miners,
    reducers,
    regularizers,
)
from torch import Tensor, nn

from perceptrain.errors import ConfigError
from perceptrain_metric_learning.checks import (
    check_choice,
    check_counts,
    check_flags,
    check_numbers,
    check_order,
    check_share,
)

#: A part of a loss: its name, a mapping ``{"name": ..., **options}``, the object itself, or None.
Part: TypeAlias = str | Mapping[str, Any] | nn.Module | None

#: The classes of the library for each kind of part, by name.
PARTS: dict[str, dict[str, Callable[..., nn.Module]]] = {
    "miner": {
        "angular": miners.AngularMiner,
        "batch_easy_hard": miners.BatchEasyHardMiner,
        "batch_hard": miners.BatchHardMiner,
        "distance_weighted": miners.DistanceWeightedMiner,
        "hdc": miners.HDCMiner,
        "multi_similarity": miners.MultiSimilarityMiner,
        "pair_margin": miners.PairMarginMiner,
        "triplet_margin": miners.TripletMarginMiner,
        "uniform_histogram": miners.UniformHistogramMiner,
    },
    "distance": {
        "cosine_similarity": distances.CosineSimilarity,
        "dot_product_similarity": distances.DotProductSimilarity,
        "lp": distances.LpDistance,
        "snr": distances.SNRDistance,
    },
    "reducer": {
        "avg_non_zero": reducers.AvgNonZeroReducer,
        "class_weighted": reducers.ClassWeightedReducer,
        "mean": reducers.MeanReducer,
        "per_anchor": reducers.PerAnchorReducer,
        "sum": reducers.SumReducer,
        "threshold": reducers.ThresholdReducer,
    },
    "regularizer": {
        "center_invariant": regularizers.CenterInvariantRegularizer,
        "lp": regularizers.LpRegularizer,
        "regular_face": regularizers.RegularFaceRegularizer,
        "sparse_centers": regularizers.SparseCentersRegularizer,
        "zero_mean": regularizers.ZeroMeanRegularizer,
    },
}

# The base class of each kind.
_BASES = {
    "miner": miners.BaseMiner,
    "distance": distances.BaseDistance,
    "reducer": reducers.BaseReducer,
    "regularizer": regularizers.BaseRegularizer,
}

# Options that are parts themselves: the distance of a miner, the reducer of a regularizer.
_NESTED = ("distance", "reducer")

# Options that the library does not check; it fails on the first batch or misreads them.
_CHECKS: dict[str, Callable[..., None]] = {
    **dict.fromkeys(("angle", "cutoff", "nonzero_loss_cutoff", "epsilon"), check_numbers),
    **dict.fromkeys(("margin", "pos_margin", "neg_margin", "power"), check_numbers),
    **dict.fromkeys(("low", "high"), check_numbers),
    **dict.fromkeys(("normalize_embeddings", "is_inverted", "collect_stats"), check_flags),
    **dict.fromkeys(("num_bins", "pos_per_bin", "neg_per_bin"), check_counts),
    **dict.fromkeys(("num_classes", "centers_per_class"), check_counts),
    "filter_percentage": check_share,
    "p": check_order,
    "type_of_triplets": partial(check_choice, ("all", "hard", "semihard", "easy")),
}


def get_part(kind: str, part: Part) -> nn.Module | None:
    """Build a part of a loss.

    Args:
        kind: ``"miner"``, ``"distance"``, ``"reducer"`` or ``"regularizer"``.
        part: A name in `PARTS`; a mapping with ``"name"`` and options of the library's class, in
            which a distance or reducer can be a part too; an object of the library or of a
            subclass of its base class, which is returned unchanged; or None.

    Returns:
        The part; None for None.

    Raises:
        ConfigError: The kind, the name or an option is unknown, a value is invalid, or the part
            has another type.
    """
    if kind not in PARTS:
        raise ConfigError(f"There is no kind of part {kind!r}.{_near(kind, PARTS)}")
    if part is None or isinstance(part, _BASES[kind]):
        return part
    if isinstance(part, str):
        return _make(kind, part, {})
    if isinstance(part, Mapping) and isinstance(part.get("name"), str):
        return _make(kind, part["name"], {k: v for k, v in part.items() if k != "name"})
    example = next(iter(PARTS[kind]))
    raise ConfigError(
        f"The {kind} is {part!r}; expected a name such as {example!r}, a mapping "
        f'{{"name": {example!r}, ...}} with its options, or an object of '
        f"a subclass of {_BASES[kind].__name__}."
    )


def build(label: str, target: Callable[..., nn.Module], options: Mapping[str, Any]) -> nn.Module:
    """Build an object of the library, and convert its errors.

    Raises:
        ConfigError: The library rejects the options.
    """
    try:
        return target(**options)
    except (TypeError, ValueError, AssertionError) as error:
        reason = str(error).strip() or "an invalid value"
        if fixed := search("multiple values for keyword argument ('.*')", reason):
            reason = f"it sets {fixed[1]} itself, so that cannot be set"
        given = {key: value for key, value in options.items() if value is not None}
        raise ConfigError(f"{label} with {given!r}: {reason}.") from error


def _make(kind: str, name: str, given: Mapping[str, Any]) -> nn.Module:
    if name not in PARTS[kind]:
        raise ConfigError(f"There is no {kind} {name!r}.{_near(name, PARTS[kind])}")
    target = PARTS[kind][name]
    known = _options(target)
    for option in given:
        if option not in known:
            raise ConfigError(
                f"The {kind} {name!r} does not take {option!r}.{_near(option, known)}"
            )
    label = f"The {kind} {name!r}"
    return build(label, target, {key: _value(label, key, value) for key, value in given.items()})


def _value(label: str, key: str, value: Any) -> Any:
    if key in _NESTED:
        return get_part(key, value)
    if key == "weights":
        return _weights(label, value)
    if key in _CHECKS and value is not None:
        try:
            _CHECKS[key](**{key: value})
        except ConfigError as error:
            raise ConfigError(f"{label} with {error}") from error
    return value


def _weights(label: str, value: Any) -> Tensor:
    """Convert class weights, numbers in a run file, to the tensor that the library expects."""
    try:
        weights = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        weights = torch.empty(0)
    if weights.ndim != 1 or not len(weights):
        raise ConfigError(f"{label} with weights={value!r}: expected a number for each class.")
    return weights


def _options(target: Any) -> list[str]:
    """List the options of a class whose constructor passes the rest to its base class."""
    known: dict[str, None] = {}
    for base in target.__mro__:
        if base is nn.Module:
            break
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()
            known |= {p.name: None for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
    known.pop("self", None)
    return list(known)


def _near(name: str, known: Any) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} Known: {', '.join(known)}."
