"""The base class of the losses: it calls a criterion of MONAI on a batch and a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Signature
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from perceptrain import Counted, is_capturing, warn_user
from perceptrain.errors import ConfigError, DataError, PerceptrainError, ShapeError
from perceptrain_segmentation.labels import (
    check_exclusive,
    check_values,
    fit_labels,
    split_batch,
)
from perceptrain_segmentation.losses.known_dimensions import known_dimensions
from perceptrain_segmentation.losses.options import (
    OPTIONS,
    Option,
    check_options,
    documented,
    signature_of,
)
from perceptrain_segmentation.score import counted_score


class _Signature:
    """The signature of a loss class, which `inspect` must not see on its instances."""

    def __get__(self, instance: object, owner: type[SegmentationLoss]) -> Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        return owner.signature


@dataclass(frozen=True)
class Mode:
    """How to interpret logits and labels, which MONAI must be told in advance.

    Attributes:
        channels: The number of channels of the logits.
        to_onehot_y: Whether the labels are indices of several classes.
        softmax: Whether the classes exclude each other.
        sigmoid: Whether each channel is a class by itself.
    """

    channels: int
    to_onehot_y: bool
    softmax: bool
    sigmoid: bool


class SegmentationLoss(nn.Module):
    """A criterion of MONAI as a loss, ``(batch, model) -> (loss, metrics)``.

    The batch is ``(images, labels)``, or a dict with "image" and "label". The model returns logits
    of shape ``(N, K, H, W[, D])``; the labels are class indices of shape ``(N, H, W[, D])`` or
    ``(N, 1, H, W[, D])``, of any dtype, or one-hot of shape ``(N, K, H, W[, D])``. The shapes
    decide the options of MONAI, unless these are set:

    - ``K > 1``: classes exclude each other; softmax, and labels with one channel become one-hot.
    - ``K = 1``: the one class and the background; sigmoid, and labels 0 and 1.
    - ``sigmoid=True`` with ``K > 1`` channels of labels: classes that may overlap.
    - ``softmax=False`` and ``sigmoid=False``: the model returns probabilities.

    With ``K = 1`` there is no background channel, so ``include_background`` does not matter.

    The loss is computed in the dtype of the logits, but half precision is cast to float32: sums
    over pixels overflow in float16 and lose digits in bfloat16. The values of the labels are
    checked on every batch on the CPU, but only on the first one on other devices, to avoid
    synchronization. The loss has no parameters and no state.

    A loss is a mean over the images of a batch, or a sum; `Counted` metrics say so where it is a
    mean over pixels or their weights. With ``batch=True`` it depends on all images together, and
    `whole_batch` is true.

    Warns:
        UserWarning: On the first batch, if the model returns probabilities where logits are needed.

    A subclass sets ``monai``, the class of the criterion, and describes in ``own`` the options that
    `OPTIONS` does not. Its signature has the options of that class with the same defaults, except
    that options decided by the shapes default to None, and ``dice_score``.

    Raises:
        ConfigError: An option is invalid.
    """

    #: The class of MONAI.
    monai: ClassVar[Callable[..., nn.Module]]
    #: Its options that `OPTIONS` does not describe, or describes differently.
    own: ClassVar[Mapping[str, Option]] = {}
    #: The options with their defaults.
    signature: ClassVar[Signature]
    __signature__ = _Signature()
    #: The supported numbers of spatial dimensions; empty for any.
    dimensions: ClassVar[tuple[int, ...]] = ()
    #: Whether ``alpha`` holds the class weights of a focal loss, not a plain number.
    focal_alpha: ClassVar[bool] = False
    #: MONAI's name for the option for softmax, and its setting for classes that may overlap.
    softmax_option: ClassVar[str] = "softmax"
    #: Whether it has minima of equal values, whose gradient depends on the last digit: compiled
    #: steps would differ from eager ones.
    has_ties: ClassVar[bool] = False
    overlap_option: ClassVar[str] = "sigmoid=True"
    #: Whether a part of it needs logits, whatever the options are.
    needs_logits: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not hasattr(cls, "monai"):
            return  # another base class
        options = {**OPTIONS, **cls.own}
        cls.signature = signature_of(cls.monai, options)
        cls.__doc__ = documented(vars(cls).get("__doc__") or "", cls.signature, options)

    def __init__(self, **options: Any) -> None:
        bound = self.signature.bind(**options)
        bound.apply_defaults()
        options = bound.arguments
        super().__init__()
        self._name = type(self).__name__
        to_onehot_y, dice_score = options.pop("to_onehot_y", None), options.pop("dice_score")
        softmax = options.pop(self.softmax_option, None)
        if "sigmoid" in options:
            sigmoid = options.pop("sigmoid")
        else:
            sigmoid = None if softmax is None else not softmax
        other_act = options.pop("other_act", None)
        activations = {self.softmax_option: softmax, "sigmoid": sigmoid, "other_act": other_act}
        others = {"to_onehot_y": to_onehot_y, "dice_score": dice_score, **options}
        check_options(activations | others, self.focal_alpha)
        given = [name for name, value in activations.items() if value]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} are set; expected at most one of them.")
        self.to_onehot_y, self.softmax, self.sigmoid = to_onehot_y, softmax, sigmoid
        self.other_act, self.dice_score = other_act, dice_score
        self.options = options
        # By mode, device and dtype. They have no state, so they are not submodules.
        self._criteria: dict[Any, nn.Module] = {}
        try:
            self._make(Mode(3, True, False, False), torch.empty(0))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{self._name}: {error}") from error

    @property
    def whole_batch(self) -> bool:
        """Whether the loss depends on all images of a batch together."""
        return bool(self.options.get("batch"))

    @property
    def output_activation(self) -> str | None:
        """The function that turns logits into probabilities; None if the options leave it open."""
        if self.softmax or self.sigmoid:
            return "softmax" if self.softmax else "sigmoid"
        unset = self.softmax is None and self.sigmoid is None and self.other_act is None
        return "softmax" if unset else None

    @property
    def adds_up(self) -> bool:
        """Whether the loss is a sum over images, not a mean."""
        return bool(self.options.get("reduction") == "sum")

    def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, Counted]:
        """Evaluate the loss.

        Args:
            batch: ``(images, labels)``, or a dict with "image" and "label".
            model: Returns logits of shape ``(N, K, H, W[, D])``.

        Returns:
            The loss; and as metrics its terms, if there are several, and ``dice_score``.

        Raises:
            ShapeError: The shapes of logits and labels do not match, or do not fit the options.
            DataError: The batch, the model's output or the labels are invalid.
            ConfigError: An option does not fit the number of classes.
        """
        images, given = split_batch(batch)
        logits, labels = fit_labels(model(images), given)
        self._check_dimensions(logits)
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        if self.has_ties and is_capturing():
            logits.sum().item()  # so that the step is not captured
        mode = self._mode(logits, labels)
        criterion = self._criterion(mode, logits, labels)
        target = labels if mode.to_onehot_y else labels.to(logits.dtype)
        try:
            with known_dimensions():
                loss, metrics = self._evaluate(criterion, logits, target)
        except (ValueError, AssertionError) as error:
            raise self._explained(error, logits, labels) from error
        counts: dict[str, Any] = dict.fromkeys(
            ("loss", *metrics), None if self.adds_up else len(logits)
        )
        counts |= getattr(metrics, "count", {})
        terms = getattr(metrics, "terms", None)
        if self.dice_score:
            metrics["dice_score"], counts["dice_score"] = self._score(mode, logits, labels)
        # MONAI computes focal losses in float32, whatever the dtype of the logits.
        loss = loss.to(torch.promote_types(loss.dtype, logits.dtype))
        return loss, Counted(metrics, counts, terms)

    def criterion_options(self, mode: Mode) -> dict[str, Any]:
        """Return the options of MONAI's class for a mode."""
        return {
            "to_onehot_y": mode.to_onehot_y,
            "softmax": mode.softmax,
            "sigmoid": mode.sigmoid,
            "other_act": self.other_act,
        }

    def _evaluate(
        self, criterion: Any, logits: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its terms; as `Counted` if some are not means over images."""
        return criterion(logits, target), {}

    def _mode(self, logits: Tensor, labels: Tensor) -> Mode:
        channels, label_channels = logits.shape[1], labels.shape[1]
        binary = channels == 1
        softmax, sigmoid, to_onehot_y = self.softmax, self.sigmoid, self.to_onehot_y
        if binary and (softmax or to_onehot_y):
            wrong = self.softmax_option if softmax else "to_onehot_y"
            raise ConfigError(
                f"{wrong}=True is set, but the model returned {tuple(logits.shape)}: one class, "
                "which a sigmoid separates from the background. Leave the option out, or use a "
                "model with an output channel for each class."
            )
        indices = not binary and label_channels == 1
        if to_onehot_y is not None and not binary and to_onehot_y != indices:
            expected = _plural(1 if to_onehot_y else channels)
            raise ShapeError(
                f"to_onehot_y={to_onehot_y} is set, and the labels have "
                f"{_plural(label_channels)}, the model's output {_plural(channels)}; expected "
                f"{expected} of labels. Leave the option out: the shapes decide it."
            )
        if softmax is None:
            softmax = not (binary or sigmoid or self.other_act)
        if sigmoid is None:
            sigmoid = binary and not self.other_act
        return Mode(channels, indices, softmax, sigmoid)

    def _criterion(self, mode: Mode, logits: Tensor, labels: Tensor) -> nn.Module:
        key = (mode, logits.device, logits.dtype)
        first = key not in self._criteria
        if first or labels.device.type == "cpu":
            self._check_labels(mode, labels)
        if first:
            self._warn_of_probabilities(mode, logits.detach())
            try:
                self._criteria[key] = self._make(mode, logits)
            except (ValueError, TypeError) as error:
                raise ConfigError(f"{self._name}: {error}") from error
        return self._criteria[key]

    def _check_labels(self, mode: Mode, labels: Tensor) -> None:
        classes = mode.channels if mode.to_onehot_y else None
        check_values(labels, classes, self.options.get("ignore_index"))
        if mode.softmax and not (mode.to_onehot_y or self.softmax):
            check_exclusive(labels, self.overlap_option)

    def _warn_of_probabilities(self, mode: Mode, logits: Tensor) -> None:
        if mode.channels == 1 or not (mode.softmax or self.needs_logits):
            return
        if logits.min() >= 0 and (logits.sum(1) - 1).abs().max() < 1e-3:
            instead = "" if self.needs_logits else f", or pass {self.softmax_option}=False"
            warn_user(
                f"The model's outputs add up to 1 over the channels, as probabilities do; "
                f"{self._name} expects logits. Leave out the model's softmax{instead}."
            )

    def _make(self, mode: Mode, like: Tensor) -> nn.Module:
        options = self.options | self.criterion_options(mode)
        if options.get("weight") is not None:
            options["weight"] = torch.as_tensor(options["weight"]).to(like)
        if mode.channels == 1 and "include_background" in options:
            options["include_background"] = True
        return type(self).monai(**options)

    def _score(self, mode: Mode, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        outputs = logits.detach()
        if self.other_act is not None:
            outputs = self.other_act(outputs)
        return counted_score(
            outputs,
            labels,
            multilabel=mode.sigmoid and not mode.to_onehot_y,
            threshold=0.0 if mode.sigmoid else 0.5,
            ignore_index=self.options.get("ignore_index"),
        )

    def _check_dimensions(self, logits: Tensor) -> None:
        if self.dimensions and logits.ndim - 2 not in self.dimensions:
            raise ShapeError(
                f"The model returned {tuple(logits.shape)}; {self._name} needs images in 2 or 3 "
                "dimensions, (N, K, H, W) or (N, K, H, W, D)."
            )

    def _explained(self, error: Exception, logits: Tensor, labels: Tensor) -> PerceptrainError:
        if isinstance(error, ConfigError) or "weight" in str(error) or "alpha" in str(error):
            return ConfigError(f"{self._name}, {_plural(logits.shape[1])}: {error}")
        return DataError(
            f"{self._name} cannot take logits {tuple(logits.shape)} and labels "
            f"{tuple(labels.shape)}: {error}"
        )


def _plural(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
