"""What the outputs of a model are to its loss, and how they become predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import Parameter, signature
from typing import Any, Literal, TypeAlias, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.losses.support.criterion_arguments import is_one_of, option
from perceptrain_core.option_checks import check_choice

#: The function that turns the outputs of a model into predictions.
OutputActivation: TypeAlias = Literal["softmax", "sigmoid", "exp"]


def output_activation(loss_fn: Any) -> OutputActivation | None:
    """Return the function that turns the outputs of a model into predictions.

    A loss says so with an attribute ``output_activation``:

    - ``"softmax"``: the outputs are logits of classes that exclude each other; of one class, which
      has a channel by itself, ``sigmoid``.
    - ``"sigmoid"``: each output is the logit of a label by itself.
    - ``"exp"``: the outputs are the logarithms of probabilities, or of numbers such as rates.
    - ``None``: the outputs are predictions already; or embeddings, or scores without probabilities.

    For a function whose options decide it, the attribute is a function of these options.

    Args:
        loss_fn: A loss, or a criterion of torch. Looks inside a `WeightedLoss`, `supervised`,
            ``functools.partial`` and ``torch.compile``.

    Returns:
        The name of the function; ``None`` also for a loss that says nothing.

    Raises:
        ConfigError: The attribute has another value.
    """
    for loss, options in unwrapped(loss_fn):
        if hasattr(loss, "output_activation"):
            said = loss.output_activation
            return _checked(loss, said(**options) if callable(said) else said)
    return _of_criterion(loss_fn)


def outputs_per_label(loss_fn: Any) -> int:
    """Return how many outputs of the model a loss needs for each column of the labels.

    A loss that needs more than one has an attribute ``outputs_per_label``. The labels have shape
    ``(N, D)``, and the first ``D`` outputs of each row are the predictions.

    Args:
        loss_fn: A loss, or another one around it, as for `output_activation`.
    """
    given = (getattr(loss, "outputs_per_label", None) for loss, _ in unwrapped(loss_fn))
    return next((int(number) for number in given if number is not None), 1)


def output_size(loss_fn: Any, size: int, **options: Any) -> int:
    """Return how many outputs of the model a loss needs.

    If `outputs_per_label` does not say it, the loss has an attribute ``output_size``, a function of
    the size of the labels and of its options.

    Args:
        loss_fn: A loss, or another one around it, as for `output_activation`.
        size: The number of classes, or of columns of the labels.
        **options: Options of a loss that is not built yet. Those of a built one are read from its
            attributes of the same names.
    """
    for loss, bound in unwrapped(loss_fn):
        rule = getattr(loss, "output_size", None)
        if rule is not None:
            return int(rule(size, **{**_attributes(loss, rule), **options, **bound}))
    return size * outputs_per_label(loss_fn)


def _attributes(loss: Any, rule: Callable[..., int]) -> dict[str, Any]:
    """Return the options of a loss that is built already, as it stores them."""
    if isinstance(loss, type):
        return {}
    _, *others = signature(rule).parameters.values()
    names = [other.name for other in others if other.kind is not Parameter.VAR_KEYWORD]
    return {name: getattr(loss, name) for name in names if hasattr(loss, name)}


def point_predictor(loss_fn: Any) -> Callable[[Any, Any], Any]:
    """Return a function of outputs and labels that returns one prediction for each label.

    Where there are several outputs for a label, that is the first, such as the mean of
    ``gaussian_nll``. A loss for which it is another has an attribute ``prediction_column``, a
    function of its options: for ``quantile``, the column of the level next to the median. A loss
    whose outputs are arranged otherwise has a method ``point_prediction(outputs, labels)``, which
    returns predictions of the shape of the labels, or raises an error if it has none.

    Args:
        loss_fn: A loss, or another one around it, as for `output_activation`.
    """
    for loss, bound in unwrapped(loss_fn):
        if hasattr(loss, "point_prediction"):
            return partial(loss.point_prediction, **bound)
    activation, column = output_activation(loss_fn), prediction_column(loss_fn)

    def predict(outputs: Any, labels: Any) -> Any:
        if column is not None:
            outputs = _one_for_each(outputs, labels, column)
        return activate(outputs, activation) if isinstance(outputs, Tensor) else outputs

    return predict


def prediction_column(loss_fn: Any) -> int | None:
    """Return where the outputs that are predictions begin, see `point_predictor`.

    Returns:
        The column; ``None`` if the loss does not say which outputs are predictions.
    """
    for loss, bound in unwrapped(loss_fn):
        rule = getattr(loss, "prediction_column", None)
        if rule is not None:
            return int(rule(**bound))
    return 0 if outputs_per_label(loss_fn) > 1 else None


def _one_for_each(outputs: Any, labels: Any, column: int) -> Any:
    if isinstance(outputs, tuple | list):
        return outputs[0]
    if not isinstance(outputs, Tensor) or not isinstance(labels, Tensor) or outputs.ndim != 2:
        return outputs
    width = labels.shape[1] if labels.ndim == 2 else 1
    return outputs[:, column : column + width] if outputs.shape[1] > width else outputs


def activate(outputs: Tensor, activation: OutputActivation | None) -> Tensor:
    """Turn the outputs of a model into predictions.

    Args:
        outputs: Shape ``(N,)`` or ``(N, C, ...)``, the classes in dimension 1.
        activation: As `output_activation` returned it.

    Returns:
        Predictions of the same shape; the outputs themselves if there is no activation.
    """
    if activation is None:
        return outputs
    if activation == "exp":
        return outputs.exp()
    if activation == "sigmoid" or outputs.ndim == 1 or outputs.shape[1] == 1:
        return outputs.sigmoid()
    return outputs.softmax(1)


def any_says(loss_fn: Any, attribute: str) -> bool:
    """Return whether a loss, or one inside it, has an attribute that is true."""
    return any(getattr(loss, attribute, False) for loss, _ in unwrapped(loss_fn))


def unwrapped(loss_fn: Any) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Yield a loss and the losses inside it, each with the options bound to it."""
    options: dict[str, Any] = {}
    while loss_fn is not None:
        options = getattr(loss_fn, "keywords", {}) | options  # functools.partial
        yield loss_fn, options
        inner = (getattr(loss_fn, name, None) for name in ("loss_fn", "func", "_orig_mod"))
        loss_fn = next((loss for loss in inner if loss is not None), None)


def _checked(loss: Any, said: Any) -> OutputActivation | None:
    name = getattr(loss, "__name__", type(loss).__name__)
    check_choice("output_activation", said, (*get_args(OutputActivation), None), owner=name)
    return said  # type: ignore[no-any-return]


def _of_criterion(criterion: Callable[..., Any]) -> OutputActivation | None:
    for activation, known in _CRITERIA.items():
        if is_one_of(criterion, known):
            return activation
    logarithms = is_one_of(criterion, _RATES) and option(criterion, "log_input", True)
    return "exp" if logarithms else None


_CRITERIA: Mapping[OutputActivation, tuple[Any, ...]] = {
    "softmax": (nn.CrossEntropyLoss, F.cross_entropy),
    "sigmoid": (
        *(nn.BCEWithLogitsLoss, nn.MultiLabelSoftMarginLoss, nn.SoftMarginLoss),
        *(F.binary_cross_entropy_with_logits, F.multilabel_soft_margin_loss, F.soft_margin_loss),
    ),
    "exp": (nn.NLLLoss, nn.KLDivLoss, nn.CTCLoss, F.nll_loss, F.kl_div, F.ctc_loss),
}
_RATES = (nn.PoissonNLLLoss, F.poisson_nll_loss)
