"""Which modules of a model are sharded by themselves, and which parameters stay whole."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from perceptrain_core.errors import TrainingError
from perceptrain_core.module_choice import Choice, condition_of

#: A number of parameters, classes and names of modules, or a function of name and module.
ShardModules = int | Choice

# Their forward pass is never called, so their children are.
_CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def choose_units(model: nn.Module, shard_modules: ShardModules) -> list[nn.Module]:
    """Return the submodules whose parameters are gathered by themselves, inner ones first.

    Args:
        model: The model.
        shard_modules: A number: each submodule with at least as many parameters that do not belong
            to a submodule chosen already. Classes and names: these submodules. A function of the
            name and the module: those for which it is true.

    Returns:
        The submodules; the model itself is not one of them. A module with a parameter that modules
        outside of it use, too, is left to the module that contains them.

    Raises:
        TrainingError: A name or a class fits no submodule.
    """
    fits = _condition(model, shard_modules)
    owners = _owners(model)
    taken: set[Tensor] = set()
    units: list[nn.Module] = []

    def visit(module: nn.Module, name: str) -> None:
        # Attention uses the weights of its submodule without calling it.
        children = () if isinstance(module, nn.MultiheadAttention) else module.named_children()
        for child_name, child in children:
            visit(child, f"{name}.{child_name}" if name else child_name)
        own = [p for p in dict.fromkeys(module.parameters()) if p not in taken]
        own = [p for p in own if can_be_sharded(p)]
        inside = set(module.modules())
        alone = all(owners[p] <= inside for p in own)
        if own and alone and module is not model and fits(name, module, own):
            taken.update(own)
            units.append(module)

    visit(model, "")
    return units


def _owners(model: nn.Module) -> dict[Tensor, set[nn.Module]]:
    owners: dict[Tensor, set[nn.Module]] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(parameter, set()).add(module)
    return owners


def can_be_sharded(parameter: Tensor) -> bool:
    """Whether a parameter has rows to divide; others stay whole in all processes."""
    divisible = parameter.ndim > 0 and parameter.numel() > 0 and parameter.is_contiguous()
    return divisible and parameter.is_floating_point()


def refuse_sparse(model: nn.Module) -> None:
    """Refuse modules whose gradients have only some of the rows.

    Raises:
        TrainingError: The model has one.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse:
            raise TrainingError(
                f"The gradients of {name or 'the model'}, {module}, are sparse, and PyTorch cannot "
                'divide them between processes. Use sparse=False, or strategy="ddp".'
            )


def _condition(
    model: nn.Module, given: ShardModules
) -> Callable[[str, nn.Module, list[nn.Parameter]], bool]:
    if isinstance(given, int):
        return lambda name, module, own: (
            not isinstance(module, _CONTAINERS) and sum(p.numel() for p in own) >= given
        )
    fits = condition_of(given, model, "shard_modules")
    return lambda name, module, own: fits(name, module)
