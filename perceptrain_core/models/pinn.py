"""Physics-informed neural networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import Module, ModuleList

from perceptrain_core.errors import ConfigError, DataError
from perceptrain_core.models.base import Model
from perceptrain_core.option_checks import fits
from perceptrain_core.tensors import describe, only_tensor
from perceptrain_core.user_warnings import warn_user

#: ``equation(points, network) -> residual``.
Equation: TypeAlias = Callable[[Tensor, Module], Tensor]

#: With fewer points than this, a residual of shape (N, N) may well be meant: one per equation.
_FEW = 5


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
                are not float tensors, or an equation did not return a tensor.

        Warns:
            UserWarning: The residual at N points has the shape ``(N, N)``, as if two terms were
                broadcast.
        """
        if not isinstance(x, Mapping) or x.keys() != self.equations.keys():
            raise DataError(self._misfit(x))
        if torch.is_grad_enabled():
            return self._residuals(x)
        with torch.inference_mode(False), torch.enable_grad():
            residuals = self._residuals(x)
        return {name: residual.detach() for name, residual in residuals.items()}

    def extra_repr(self) -> str:
        """Name the equations."""
        return f"equations: {', '.join(self.equations)}"

    def _residuals(self, x: Mapping[str, Any]) -> dict[str, Tensor]:
        residuals = {}
        for name, equation in self.equations.items():
            points = _points(name, x[name])
            try:
                residual = equation(points, self.nn)
            except Exception as error:
                error.add_note(f"This was the equation {name!r}.")
                raise
            if not isinstance(residual, Tensor):
                raise DataError(
                    f"The equation {name!r} returned {describe(residual)}; expected its residual, "
                    "a tensor. torch.autograd.grad returns a tuple: take its first element."
                )
            if residual.dim() == 2 and residual.size(1) >= _FEW:
                _check_broadcast(name, residual, points)
            residuals[name] = residual
        return residuals

    def _misfit(self, x: object) -> str:
        wanted = f"expected a dict of points with the keys {', '.join(map(repr, self.equations))}"
        if isinstance(x, Mapping):
            missing = [repr(key) for key in self.equations if key not in x]
            extra = [repr(key) for key in x if key not in self.equations]
            return (
                f"PINN got {describe(x)}; {wanted}. Missing: {', '.join(missing) or 'none'}; "
                f"not known: {', '.join(extra) or 'none'}."
            )
        advice = (
            "To evaluate the network itself, call model.nn(x)."
            if isinstance(x, Tensor)
            else "DictDataLoader yields such batches."
        )
        return f"PINN got {describe(x)}; {wanted}, one for each equation. {advice}"


def _check_broadcast(name: str, residual: Tensor, points: Tensor) -> None:
    n = residual.size(1)
    if not points.dim() or residual.shape != (len(points), len(points)):
        return
    warn_user(
        f"The equation {name!r} returned a residual of shape ({n}, {n}) for {n} points. Torch "
        f"broadcasts a term of shape ({n}, 1) and one of shape ({n},) to that: give all terms the "
        f"shape ({n}, 1), with term.unsqueeze(-1) or by keeping a column as x[:, :1]. Ignore this "
        f"if each point has {n} residuals.",
    )


def _points(name: str, value: Any) -> Tensor:
    """Return an alias of the points that records gradients."""
    value = only_tensor(value)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise DataError(
            f"The points for {name!r} are {describe(value)}; expected a tensor of floats of shape "
            "(N, d), because derivatives are taken with respect to it."
        )
    if value.requires_grad:
        return value
    # A tensor made in inference mode can never record gradients; its copy can.
    points = value.clone() if value.is_inference() else value.detach()
    return points.requires_grad_()


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
