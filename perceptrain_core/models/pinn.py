"""Physics-informed neural networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import Module, ModuleList

from perceptrain_core.errors import ConfigError, DataError
from perceptrain_core.models.base import Model
from perceptrain_core.models.equation_checks import (
    WatchedDerivatives,
    check_broadcast,
    check_residual,
    check_rows,
    explain,
)
from perceptrain_core.option_checks import fits
from perceptrain_core.tensors import describe, only_tensor
from perceptrain_core.value_checks import values_are_checked

#: ``equation(points, network) -> residual``.
Equation: TypeAlias = Callable[[Tensor, Module], Tensor]


class PINN(Model):
    """A network, and the equations that it must satisfy.

    Raissi, Perdikaris, Karniadakis, "Physics-informed neural networks", J. Comput. Phys. 378,
    2019. Called with a dict of points, it returns a dict of residuals, which a loss drives to
    zero. ::

        def ode(t, u):  # u' = -u
            (du,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
            return du + u(t)

        model = PINN(FFNN([1, 16, 1]), {"ode": ode, "start": lambda t, u: u(t) - 1})

    Inside the equations the points require gradients, even in validation and under
    ``torch.no_grad`` or ``torch.inference_mode``; your tensors are not changed. To evaluate the
    network itself, call ``model.nn(x)``.

    Args:
        nn: The network; or a registered model as a mapping, ``{"name": "ffnn", "layers": [2, 8,
            1]}``.
        equations: A function ``equation(points, network) -> residual`` for each name; or a
            reference to one, ``"./file.py:function"``. The parameters of an equation that is a
            module are trained too, as in an inverse problem.

    Raises:
        ConfigError: There is no network or no equation, or one cannot be called.
    """

    def __init__(
        self, nn: Module | Mapping[str, Any], equations: Mapping[str, Equation | str]
    ) -> None:
        super().__init__()
        self.nn = _network(nn)
        self.equations = _equations(equations)
        modules = [each for each in self.equations.values() if isinstance(each, Module)]
        if modules:
            self.equation_modules = ModuleList(modules)

    def forward(self, x: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Evaluate the residual of each equation at its points.

        Args:
            x: For each equation its points, of shape ``(N, d)``; N may differ. A tuple or list
                of one tensor counts as that tensor.

        Returns:
            The residual of each equation, in the shape that the equation returns; detached if
            gradients are disabled.

        Raises:
            DataError: The batch is not a dict, its keys are not those of the equations, its values
                are not float tensors, or an equation did not return a tensor of floats, or calls
                ``backward``.

        Warns:
            UserWarning: The residual at N points has the shape ``(N, N)``, as if two terms were
                broadcast. In the first batch of a training also: it has fewer than N rows, or an
                equation differentiates without ``create_graph=True``.
        """
        if not isinstance(x, Mapping) or x.keys() != self.equations.keys():
            raise DataError(self._misfit(x))
        if torch.is_grad_enabled():
            return self._residuals(x, trained=True)
        with torch.inference_mode(False), torch.enable_grad():
            residuals = self._residuals(x, trained=False)
        return {name: residual.detach() for name, residual in residuals.items()}

    def extra_repr(self) -> str:
        """Name the equations."""
        return f"equations: {', '.join(self.equations)}"

    def _residuals(self, x: Mapping[str, Any], trained: bool) -> dict[str, Tensor]:
        residuals = {}
        for name, equation in self.equations.items():
            points = _points(name, x[name])
            check = values_are_checked()
            watch = WatchedDerivatives(name) if check and trained else nullcontext()
            try:
                with watch:
                    returned = equation(points, self.nn)
            except Exception as error:
                explain(error, name)
                raise
            residual = check_residual(name, returned)
            if check:
                check_rows(name, residual, points)
            check_broadcast(name, residual, points)
            residuals[name] = residual
        return residuals

    def _misfit(self, x: object) -> str:
        wanted = f"expected a dict of points with the keys {', '.join(map(repr, self.equations))}"
        if isinstance(x, Mapping):
            missing = [repr(key) for key in self.equations if key not in x]
            extra = [repr(key) for key in x if key not in self.equations]
            return (
                f"PINN got {describe(x)}; {wanted}."
                + (f" Missing: {', '.join(missing)}." if missing else "")
                + (f" Not known: {', '.join(extra)}." if extra else "")
            )
        advice = (
            "To evaluate the network itself, call model.nn(x)."
            if isinstance(x, Tensor)
            else "DictDataLoader yields such batches."
        )
        return f"PINN got {describe(x)}; {wanted}, one for each equation. {advice}"


def _points(name: str, value: Any) -> Tensor:
    """Return an alias of the points that records gradients."""
    value = only_tensor(value)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise DataError(
            f"The points for {name!r} are {describe(value)}; expected a tensor of floats of shape "
            f"(N, d), because derivatives are taken with respect to it.{_as_tensor(value)}"
        )
    if value.requires_grad:
        return value
    # A tensor made in inference mode can never record gradients; its copy can.
    points = value.clone() if value.is_inference() else value.detach()
    return points.requires_grad_()


def _as_tensor(value: Any) -> str:
    converts = hasattr(value, "__array__") or isinstance(value, Tensor | list | float | int)
    return " Convert it: torch.as_tensor(points, dtype=torch.float32)." if converts else ""


def _network(network: Module | Mapping[str, Any]) -> Module:
    if isinstance(network, Mapping):
        from perceptrain_core.registry import get_model  # only a run file needs the registry

        network = get_model(network)
    if isinstance(network, Module):
        return network
    raise ConfigError(
        f"nn={network!r}: expected a network, such as FFNN([2, 16, 1]), or a mapping with the "
        "name and the options of a registered model."
    )


def _equations(equations: Mapping[str, Equation | str]) -> dict[str, Equation]:
    if not isinstance(equations, Mapping) or not equations:
        raise ConfigError(
            f"equations={equations!r}: expected a dict with a function "
            "equation(points, network) -> residual for each name."
        )
    wrong = [name for name in equations if not isinstance(name, str) or not name]
    if wrong:
        raise ConfigError(f"An equation is named {wrong[0]!r}; expected a text, such as 'ode'.")
    return {name: _equation(name, equation) for name, equation in equations.items()}


def _equation(name: str, equation: Equation | str) -> Equation:
    loaded: Any = _load(name, equation) if isinstance(equation, str) else equation
    if not callable(loaded):
        raise ConfigError(
            f"The equation {name!r} is {loaded!r}; expected a function "
            "equation(points, network) -> residual."
        )
    if not fits(loaded, "points", "network"):
        raise ConfigError(
            f"The equation {name!r} is {loaded!r:.80}, which cannot be called with two arguments; "
            "expected a function equation(points, network) -> residual."
        )
    return loaded  # type: ignore[no-any-return]


def _load(name: str, reference: str) -> Any:
    # Only for run files.
    from perceptrain_core.registry.called_code import check_code
    from perceptrain_core.registry.references import load_reference

    loaded = load_reference(reference)
    check_code(f"The equation {name!r}", loaded)
    return loaded
