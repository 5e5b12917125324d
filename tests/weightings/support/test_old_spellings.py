"""Every older spelling of an option works wherever the current one does."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from perceptrain import GradWeightedLoss, get_loss, get_weighting, registry
from perceptrain.errors import ConfigError, OptionError
from perceptrain_core.weightings.support.old_spellings import OLD_SPELLINGS, share_of_old

CLASSES = {
    target.__name__: (kind, name, target)
    for kind, names in {"weighting": registry().weightings, "loss": registry().losses}.items()
    for name in names
    for target in [names[name].load()]
    if getattr(target, "__name__", "") in OLD_SPELLINGS
}
VALUES: dict[str, Any] = {
    "weights": {"a": 2.0},
    "initial": {"b": 2.0},
    "fixed_metric": "a",
    "asymmetry": 0.7,
    "momentum": 0.6,
}
REQUIRED = {"GradWeighted": {"fixed_metric": "a"}, "GradWeightedLoss": {"fixed_metric": "a"}}
CASES = [(cls, old, new) for cls, names in OLD_SPELLINGS.items() for old, new in names.items()]


def state(item: Any) -> dict[str, Any]:
    """Return the options of a weighting, and the weights it starts with."""
    weighting = getattr(item, "weighting", item)
    plain = {k: v for k, v in vars(weighting).items() if isinstance(v, int | float | str | tuple)}
    return plain | {name: weight.item() for name, weight in weighting.weights.items()}


@pytest.mark.parametrize(("cls", "old", "new"), CASES)
def test_an_old_spelling_means_the_same(cls: str, old: str, new: str) -> None:
    kind, name, target = CLASSES[cls]
    value = VALUES[new]
    old_value = share_of_old(value) if (cls, old) == ("GradWeighted", "alpha") else value
    required = {k: v for k, v in REQUIRED.get(cls, {}).items() if k != new}
    expected = state(target(**required, **{new: value}))
    assert state(target(**required, **{old: old_value})) == expected
    get: Any = get_weighting if kind == "weighting" else get_loss
    assert state(get(name, **required, **{old: old_value})) == expected
    assert state(get({"name": name, **required, old: old_value})) == expected
    with pytest.raises(ConfigError, match=f"got {new} twice, once by its older spelling {old}"):
        target(**required, **{new: value, old: old_value})
    with pytest.raises(ConfigError, match=f"got {new} twice"):
        get(name, **required, **{new: value, old: old_value})


@pytest.mark.parametrize("cls", OLD_SPELLINGS)
def test_the_signature_has_the_current_names_only(cls: str) -> None:
    parameters = inspect.signature(CLASSES[cls][2]).parameters
    assert OLD_SPELLINGS[cls].keys().isdisjoint(parameters)
    assert {*OLD_SPELLINGS[cls].values()} <= parameters.keys()


def test_alpha_of_the_loss_is_the_share_of_the_new_value() -> None:
    assert GradWeightedLoss(None, "mse", None, None, "a", 0.9).weighting.momentum == 0.1
    assert get_loss("grad_weighted", fixed_metric="a", alpha=0.3).weighting.momentum == 0.7
    assert GradWeightedLoss(fixed_metric="a", momentum=0.7).alpha == 0.3
    with pytest.raises(ConfigError, match="got momentum twice, once by its older spelling alpha"):
        GradWeightedLoss(fixed_metric="a", momentum=0.7, alpha=0.3)


def test_several_old_spellings_at_once() -> None:
    weighting = get_weighting("grad_weighted", fixed="a", alpha=0.3, weights={"b": 4.0})
    assert weighting.fixed_metric == ("a",)
    assert weighting.momentum == 0.7
    assert weighting.weights["b"] == 4
    with pytest.raises(ConfigError, match="got initial twice"):
        get_weighting("grad_weighted", fixed="a", metric_weights={}, weights={})


def test_a_required_option_is_named_by_its_current_name() -> None:
    with pytest.raises(OptionError, match="requires the option 'fixed_metric'"):
        get_weighting("grad_weighted")
    with pytest.raises(OptionError, match="does not accept the option 'alpah'"):
        get_weighting("relobralo", alpah=0.3)
