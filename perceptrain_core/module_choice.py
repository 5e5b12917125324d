"""Choose submodules of a model by class, by name, or by a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from perceptrain_core.errors import TrainingError

#: Says of a name and a module whether it is chosen.
Condition = Callable[[str, nn.Module], bool]
#: Classes and names of submodules, or a condition.
Choice = Sequence[type | str] | Condition


def condition_of(
    choice: Choice, model: nn.Module, setting: str
) -> Callable[[str, nn.Module], bool]:
    """Return the condition that a submodule is chosen.

    Args:
        choice: What is chosen. A name is that of ``model.named_modules()``, or that of a class.
        model: The model.
        setting: The name of the setting, for the message.

    Raises:
        TrainingError: A class or a name fits no submodule.
    """
    if callable(choice):
        function = choice
        return lambda name, module: bool(function(name, module))
    for wanted in choice:
        if not any(_is_meant(wanted, name, module) for name, module in model.named_modules()):
            raise TrainingError(
                f"{setting} has {wanted!r}, and {type(model).__name__} has no such submodule. Name "
                "submodules as in model.named_modules(), or give their classes."
            )
    return lambda name, module: any(_is_meant(wanted, name, module) for wanted in choice)


def _is_meant(wanted: type | str, name: str, module: nn.Module) -> bool:
    if isinstance(wanted, type):
        return isinstance(module, wanted)
    return wanted in (name, type(module).__name__)
