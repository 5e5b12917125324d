"""Options whose values cannot be of the annotated type."""

from __future__ import annotations

from typing import Any, Literal, Optional, TypeAlias, Union

import numpy as np
import pytest
import torch

from perceptrain import get_loss
from perceptrain.errors import OptionError
from perceptrain_core.registry.kinds import KINDS
from perceptrain_core.registry.options import build

Named: TypeAlias = Literal["mean", "sum"]


def loss(
    batch: Any,
    model: Any,
    *,
    share: float = 0.5,
    steps: int = 3,
    most: int | None = None,
    full: bool = False,
    either: float | str = 1.0,
    choice: Literal["mean", "sum"] = "mean",
    named: Named = "mean",
    maybe: Optional[Literal["a", "b"]] = None,  # noqa: UP045
    mixed: Union[float, Literal["auto"]] = "auto",  # noqa: UP007
    level: Literal[1, 2, 3, None] = None,
    unset: float = None,  # type: ignore[assignment]  # noqa: RUF013
) -> Any:
    """A loss with an option of each type."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": "a"}, "share='a': expected a number, not text"),
        ({"share": [0.5]}, r"share=\[0.5\]: expected a number"),
        ({"share": None}, "share=None: expected a number"),
        ({"share": float}, "share=<class 'float'>: expected a number"),
        ({"steps": "3"}, "steps='3': expected a whole number, not text"),
        ({"most": {}}, "most={}: expected a whole number"),
        ({"full": "no"}, "full='no': expected true or false, not text"),
        ({"choice": "men"}, r"choice='men': expected 'mean' or 'sum'. Did you mean 'mean'\?$"),
        ({"choice": "none"}, r"choice='none': expected 'mean' or 'sum'\.$"),
        ({"choice": ["mean"]}, r"choice=\['mean'\]: expected 'mean' or 'sum'"),
        ({"choice": None}, "choice=None: expected 'mean' or 'sum'"),
        ({"choice": 1}, "choice=1: expected 'mean' or 'sum'"),
        ({"named": "men"}, "named='men': expected 'mean' or 'sum'"),
        ({"maybe": "c"}, "maybe='c': expected 'a' or 'b'"),
        ({"mixed": "no"}, "mixed='no': expected 'auto' or a number"),
        ({"level": 4}, "level=4: expected 1, 2 or 3"),
        ({"share": "a", "steps": "b"}, "share='a'.*; steps='b'"),
    ],
)
def test_values_of_another_type(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^The loss 'own': .*{message}"):
        build(KINDS[0], "The loss 'own'", loss, (), options)


@pytest.mark.parametrize(
    "options",
    [
        {"share": 1},
        {"share": np.float32(0.5)},
        {"share": torch.tensor(0.5)},
        {"steps": np.int64(3)},
        {"most": None},
        {"full": True},
        {"full": 1},
        {"either": "a"},
        {"unset": None},
        {"choice": "sum"},
        {"choice": np.str_("sum")},
        {"named": "sum"},
        {"maybe": None},
        {"maybe": "b"},
        {"mixed": "auto"},
        {"mixed": 2},
        {"mixed": torch.tensor(0.5)},
        {"level": 2},
        {"level": None},
    ],
)
def test_what_may_be_right_is_left_to_the_target(options: dict[str, Any]) -> None:
    assert build(KINDS[0], "The loss 'own'", loss, (), options).keywords == options


def test_built_in_losses_are_checked_before_the_first_batch() -> None:
    with pytest.raises(OptionError, match="The loss 'huber': delta='a': expected a number, not"):
        get_loss("huber", delta="a")


def test_annotations_that_are_objects() -> None:
    def own(
        batch: Any,
        model: Any,
        *,
        choice: object = "mean",
        maybe: object = None,
        other: object = None,
    ) -> Any: ...

    kinds = {"choice": Named, "maybe": Optional[float], "other": list[int]}  # noqa: UP045
    own.__annotations__.update(kinds)
    with pytest.raises(OptionError, match="choice='xyz': expected 'mean' or 'sum'; maybe='a': exp"):
        build(KINDS[0], "The loss 'own'", own, (), {"choice": "xyz", "maybe": "a", "other": "a"})


def test_an_unknown_annotation_allows_everything() -> None:
    def own(batch: Any, model: Any, *, one: object = 1, two: object = 2) -> Any: ...

    own.__annotations__.update(one="not python", two="no.such")
    options = {"one": "a", "two": []}
    assert build(KINDS[0], "The loss 'own'", own, (), options).keywords == options
