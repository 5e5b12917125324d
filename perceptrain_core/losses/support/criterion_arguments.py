"""How to build the arguments of a criterion from outputs and labels, and check them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.errors import DataError
from perceptrain_core.losses.support.batches import RESIDUAL_LOSSES
from perceptrain_core.losses.support.classes import class_indices, class_targets, label_count
from perceptrain_core.losses.support.domains import (
    check_binary,
    check_classes,
    check_counts,
    check_divergence,
    check_log_probabilities,
    check_signs,
    check_smoothing,
    check_soft_signs,
    check_weights,
)
from perceptrain_core.losses.support.shapes import same_shape
from perceptrain_core.tensors import describe
from perceptrain_core.types import Counted, Metrics
from perceptrain_core.value_checks import values_are_checked

#: ``fit(outputs, labels)`` returns the arguments of a criterion.
Fit: TypeAlias = Callable[[Any, Any], tuple[Any, ...]]


def fit_for(criterion: Callable[..., Any]) -> Fit:
    """Return how to build the arguments of a criterion; unknown criteria get them unchecked."""
    for known, fit in _KNOWN:
        if is_one_of(criterion, known):
            return fit
    return _in_order


def takes_labels(criterion: Callable[..., Any]) -> bool:
    """Return whether a criterion uses labels."""
    return not is_one_of(criterion, _TRIPLET)


def is_pointwise(criterion: Callable[..., Any]) -> bool:
    """Return whether a criterion is elementwise, so that it works on residuals."""
    return is_one_of(criterion, _POINTWISE)


def is_mean(criterion: Callable[..., Any]) -> bool:
    """Return whether a criterion is a mean, as far as its options show."""
    return bool(option(criterion, "reduction", "mean") != "sum")


def counted(criterion: Callable[..., Any], arguments: tuple[Any, ...]) -> Metrics:
    """Return empty metrics that say what a criterion is a mean over; unknown ones: over rows."""
    if not is_mean(criterion):
        return Counted({}, None)
    outputs, labels = arguments[0], arguments[1]
    if is_one_of(criterion, _ELEMENTWISE):
        by_rows = option(criterion, "reduction", "mean") == "batchmean"
        return Counted({}, len(outputs) if by_rows else outputs.numel())
    if is_one_of(criterion, _CLASSES) and not labels.is_floating_point():
        weight = option(criterion, "weight", None)
        return Counted({}, label_count(labels, weight, option(criterion, "ignore_index", -100)))
    return {}


def option(criterion: Callable[..., Any], name: str, default: Any) -> Any:
    """Return an option of a criterion, which may be a partial function or compiled."""
    plain = getattr(criterion, "_orig_mod", criterion)
    keywords = getattr(plain, "keywords", {})  # functools.partial
    return keywords[name] if name in keywords else getattr(plain, name, default)


def check_domain(criterion: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Check the values of outputs and labels of a known criterion, on the first batch."""
    if not values_are_checked():
        return
    check_options(criterion)
    for known, check in _DOMAINS:
        if is_one_of(criterion, known):
            check(arguments[0], arguments[-1])
    if is_one_of(criterion, _DIVERGENCES):
        logarithms = option(criterion, "log_target", False)
        check_divergence(arguments[0], arguments[-1], log_target=logarithms)


def check_options(criterion: Callable[..., Any]) -> None:
    """Check the options of a known criterion that torch takes without a look.

    Raises:
        ConfigError: A weight is negative, or a share is not between 0 and 1.
    """
    if not is_one_of(criterion, _WEIGHTED):
        return
    weights = {name: option(criterion, name, None) for name in ("weight", "pos_weight")}
    check_weights(**{n: w for n, w in weights.items() if isinstance(w, Tensor)})
    check_smoothing(option(criterion, "label_smoothing", 0.0))


def is_one_of(criterion: Callable[..., Any], known: tuple[Any, ...]) -> bool:
    """Return whether a criterion is one of torch's; looks inside partial functions."""
    plain = getattr(criterion, "func", getattr(criterion, "_orig_mod", criterion))
    return any(plain is one or type(plain) is one for one in known)


def _in_order(outputs: Any, labels: Any) -> tuple[Any, ...]:
    if isinstance(outputs, (tuple, list)):
        return (*outputs, labels)
    return outputs, labels


def _checked(check: Fit, outputs: Any, labels: Any) -> tuple[Any, ...]:
    if isinstance(outputs, Tensor):
        return check(outputs, labels)
    if isinstance(outputs, Mapping):
        raise DataError(
            f"The model returned {describe(outputs)}, as a PINN does; this criterion compares "
            f"tensors with labels. For residuals use one of {RESIDUAL_LOSSES}."
        )
    return _in_order(outputs, labels)


def _outputs_only(outputs: Any, labels: Any) -> tuple[Any, ...]:
    if isinstance(outputs, (tuple, list)) and len(outputs) == 3:
        return tuple(outputs)
    raise DataError(
        f"The model returned {describe(outputs)}; a triplet loss has no labels, so the "
        "model gets the whole batch and must return a tuple (anchor, positive, negative)."
    )


def _mean_variance(outputs: Any, labels: Any) -> tuple[Any, ...]:
    if isinstance(outputs, (tuple, list)) and len(outputs) == 2:
        mean, variance = outputs
        return (*same_shape(mean, labels), variance)
    raise DataError(
        f"The model returned {describe(outputs)}; GaussianNLLLoss expects a tuple "
        "(mean, variance). The loss gaussian_nll also accepts one tensor with both."
    )


def _sequences(outputs: Any, labels: Any) -> tuple[Any, ...]:
    """Order the arguments of CTC: log_probs, targets, input_lengths, target_lengths."""
    given = tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)
    wanted = tuple(labels) if isinstance(labels, (tuple, list)) else (labels,)
    if (len(given), len(wanted)) == (1, 3):
        return given + wanted
    if (len(given), len(wanted)) == (2, 2):
        return given[0], wanted[0], given[1], wanted[1]
    raise DataError(
        f"The model returned {describe(outputs)} and the labels are {describe(labels)}; CTCLoss "
        "expects log_probs and labels (targets, input_lengths, target_lengths), or "
        "(log_probs, input_lengths) and labels (targets, target_lengths)."
    )


_POINTWISE = (
    *(nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss),
    *(F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss),
)
_ELEMENTWISE = (
    *_POINTWISE,
    *(nn.SoftMarginLoss, nn.KLDivLoss, nn.BCELoss, nn.BCEWithLogitsLoss, nn.PoissonNLLLoss),
    *(F.soft_margin_loss, F.kl_div),
    *(F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.poisson_nll_loss),
)
_CLASSES = (nn.CrossEntropyLoss, F.cross_entropy, nn.NLLLoss, F.nll_loss)
_WEIGHTED = (
    *_CLASSES,
    *(nn.MultiMarginLoss, nn.MultiLabelSoftMarginLoss, nn.BCELoss, nn.BCEWithLogitsLoss),
    *(F.multi_margin_loss, F.multilabel_soft_margin_loss),
    *(F.binary_cross_entropy, F.binary_cross_entropy_with_logits),
)
_INDICES = (nn.NLLLoss, nn.MultiMarginLoss, F.nll_loss, F.multi_margin_loss)
_DOMAINS: tuple[tuple[tuple[Any, ...], Callable[..., None]], ...] = (
    (
        (
            *(nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits),
            *(nn.MultiLabelSoftMarginLoss, F.multilabel_soft_margin_loss),
        ),
        check_binary,
    ),
    (
        (
            *(nn.CosineEmbeddingLoss, nn.HingeEmbeddingLoss, nn.MarginRankingLoss),
            *(F.cosine_embedding_loss, F.hinge_embedding_loss, F.margin_ranking_loss),
        ),
        check_signs,
    ),
    ((nn.SoftMarginLoss, F.soft_margin_loss), check_soft_signs),
    ((nn.PoissonNLLLoss, F.poisson_nll_loss), check_counts),
    ((nn.NLLLoss, F.nll_loss), check_log_probabilities),
    ((nn.CrossEntropyLoss, F.cross_entropy), check_classes),
)
_DIVERGENCES = (nn.KLDivLoss, F.kl_div)
_TRIPLET = (
    *(nn.TripletMarginLoss, nn.TripletMarginWithDistanceLoss),
    *(F.triplet_margin_loss, F.triplet_margin_with_distance_loss),
)

#: The criteria of torch, as modules and functions, and how to build their arguments.
#: Partial functions instead of closures, so that a loss can be pickled.
_KNOWN: tuple[tuple[tuple[Any, ...], Fit], ...] = (
    (_ELEMENTWISE, partial(_checked, same_shape)),
    ((nn.CrossEntropyLoss, F.cross_entropy), partial(_checked, class_targets)),
    (_INDICES, partial(_checked, class_indices)),
    ((nn.GaussianNLLLoss, F.gaussian_nll_loss), _mean_variance),
    ((nn.CTCLoss, F.ctc_loss), _sequences),
    (_TRIPLET, _outputs_only),
)
