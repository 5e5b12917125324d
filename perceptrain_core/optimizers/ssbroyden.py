"""The self-scaled Broyden method, a quasi-Newton method with a dense inverse Hessian."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from perceptrain_core.errors import TrainingError
from perceptrain_core.optimizers.line_search import Trial, strong_wolfe
from perceptrain_core.optimizers.objective import Objective
from perceptrain_core.optimizers.quasi_newton import METHODS, update_inverse_hessian
from perceptrain_core.option_checks import choice_faults, number_faults, refuse
from perceptrain_core.user_warnings import warn_user

_INVERSE = "inverse_hessian"


class SSBroyden(Optimizer):
    """Self-scaled Broyden method, for full batches and up to some thousand parameters in float64.

    A quasi-Newton method like BFGS: it learns the inverse Hessian from the gradients, and scales it
    at each iteration. With PINNs it reaches errors far below those of Adam and L-BFGS. It works
    with any loss whose value is the same at each call during a step, and needs a closure, as
    ``torch.optim.LBFGS`` does::

        optimizer = SSBroyden(model.parameters())
        optimizer.step(closure)

    Each iteration is a line search for the strong Wolfe conditions. A loss or gradient that is not
    finite there means that the step is too long. If no lower loss is found, the inverse Hessian is
    discarded, and the search repeated along the gradient. If that fails as well, the step ends with
    a warning, and the next step tries again. If the closure raises an error, the parameters stay at
    the last accepted point.

    ``state_dict()`` contains the inverse Hessian, a matrix of shape ``(P, P)`` for ``P`` parameters
    that require gradients. Points may change between steps: it is kept.

    Args:
        params: The parameters, of one dtype and on one device. Groups must have the same options.
        method: ``"ssbroyden"``, whose scaling is Al-Baali's with ``min(1, y's / s'B s)``;
            ``"ssbroyden2"``, with ``min(1, h (1 - c))`` instead; ``"ssbfgs"``, self-scaled BFGS; or
            ``"bfgs"``.
        first_step: The first step that a line search tries; 1, the default, is the quasi-Newton
            step. Without an inverse Hessian, it is ``first_step * min(1, 1 / |g|_1)``. There is no
            learning rate.
        max_iter: The number of iterations per step, by default 20.
        max_evals: The maximum number of evaluations of the loss in a line search, by default 25.
        tolerance_grad: A step ends when no element of the gradient is larger, by default 0.
        tolerance_change: A step ends when the loss decreases by no more, by default 0. It always
            ends when the loss can decrease by no more than its rounding error.
        max_parameters: Refuse more parameters than this, by default 10,000, a matrix of 0.8 GB.
        save_hessian: Whether ``state_dict()`` contains the inverse Hessian. Without it checkpoints
            are small, but a resumed run has to learn it again.

    Raises:
        ConfigError: An option is out of range.
        TrainingError: Groups have different options, or there are more than ``max_parameters``.

    Source: Urban, Stefanou, Pons, Journal of Computational Physics 523 (2025) 113656.
    """

    #: It chooses the length of its steps: see ``training/steppers/second_order.py``.
    second_order = True
    #: It returns to its last accepted point: see ``training/steppers/closures.py``.
    handles_trials = True
    _warned: frozenset[str] = frozenset()

    def __init__(
        self,
        params: ParamsT,
        method: str = "ssbroyden",
        first_step: float = 1.0,
        max_iter: int = 20,
        max_evals: int = 25,
        tolerance_grad: float = 0.0,
        tolerance_change: float = 0.0,
        max_parameters: int = 10_000,
        save_hessian: bool = True,
    ) -> None:
        limits = {"max_iter": max_iter, "max_evals": max_evals, "max_parameters": max_parameters}
        tolerances = {"tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change}
        faults = [
            *choice_faults({"method": method}, METHODS),
            *choice_faults({"save_hessian": save_hessian}, (True, False)),
            *number_faults({"first_step": first_step}, above=0),
            *number_faults(limits, whole=True, at_least=1),
            *number_faults(tolerances, at_least=0),
        ]
        refuse("SSBroyden", faults)
        own = {"method": method, "first_step": first_step, "save_hessian": save_hessian}
        super().__init__(params, own | limits | tolerances)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters; the next step starts with a new inverse Hessian.

        Raises:
            TrainingError: The options are different, or there are too many parameters.
        """
        super().add_param_group(param_group)
        first, *_, added = self.param_groups[0], self.param_groups[-1]
        differing = [key for key in self.defaults if added[key] != first[key]]
        try:
            if differing:
                raise TrainingError(_OTHER_OPTIONS.format(", ".join(differing)))
            self._check_size()
        except TrainingError:
            self.param_groups.pop()
            raise

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Take ``max_iter`` iterations.

        Args:
            closure: Clears the gradients, computes the loss and its gradients, and returns the
                loss.

        Returns:
            The loss before the step, as returned by the closure.

        Raises:
            TrainingError: The parameters have several dtypes or devices, are complex, or too many.

        Warns:
            UserWarning: The parameters are not float64; no lower loss was found; the loss is finite
                and its gradient is not. Each once.
        """
        objective = Objective(torch.enable_grad()(closure), self._params())
        result = objective.start()
        state = self.state[self.param_groups[0]["params"][0]]
        if len(state.get(_INVERSE, objective.point)) != len(objective.point):
            del state[_INVERSE]
        try:
            if objective.is_finite:
                self._iterate(objective, state)
            elif isfinite(objective.loss):
                self._warn_once("gradient", _NO_GRADIENT)
        except BaseException:
            objective.restore()
            raise
        finally:
            done = state.get("evaluations", 0)
            state["evaluations"] = done + objective.evaluations
        return result

    def _iterate(self, objective: Objective, state: dict[str, Any]) -> None:
        group = self.param_groups[0]
        for _ in range(group["max_iter"]):
            gradient, loss = objective.gradient, objective.loss
            if float(gradient.abs().max()) <= group["tolerance_grad"]:
                return
            inverse = state.get(_INVERSE)
            direction = -gradient if inverse is None else -(inverse @ gradient)
            slope = float(gradient @ direction)
            if 0 <= -slope <= torch.finfo(gradient.dtype).eps * abs(loss):
                return  # what is left to gain is less than the rounding of the loss
            trial = self._search(objective, direction, slope, inverse is None)
            if trial is None:
                objective.restore()
                if state.pop(_INVERSE, None) is None:
                    self._warn_once("search", _NO_LOWER_LOSS)
                    return
                continue
            objective.accept(direction, trial)
            self._update(state, direction, trial, gradient)
            state["iterations"] = state.get("iterations", 0) + 1
            if loss - objective.loss <= group["tolerance_change"]:
                return

    def _search(
        self, objective: Objective, direction: Tensor, slope: float, is_first: bool
    ) -> Trial | None:
        if not slope < 0:  # rounding has made the matrix indefinite
            return None
        group, gradient = self.param_groups[0], objective.gradient
        step = float(group["first_step"])
        if is_first:
            step *= min(1.0, 1 / float(gradient.abs().sum()))
        start = Trial(0.0, objective.loss, slope, gradient)
        return strong_wolfe(partial(objective.trial, direction), start, step, group["max_evals"])

    def _update(
        self, state: dict[str, Any], direction: Tensor, trial: Trial, before: Tensor
    ) -> None:
        """Update the inverse Hessian, if the loss is convex along the step."""
        step, change = trial.step * direction, trial.gradient - before
        smallest = torch.finfo(step.dtype).eps * float(change.norm() * step.norm())
        if not float(change @ step) > smallest:
            return
        inverse = state.get(_INVERSE)
        if inverse is None:
            inverse = torch.eye(len(step), dtype=step.dtype, device=step.device)
        # The Hessian maps the step -t H g to -t g.
        curvature = -trial.step * float(before @ step)
        method = self.param_groups[0]["method"]
        if update_inverse_hessian(inverse, step, change, curvature, method):
            state[_INVERSE] = inverse
        else:
            state.pop(_INVERSE, None)

    def state_dict(self) -> dict[str, Any]:
        """Return the state; without the inverse Hessian if ``save_hessian`` is false."""
        saved = super().state_dict()
        if not self.param_groups[0]["save_hessian"]:
            saved["state"] = {
                number: {name: value for name, value in state.items() if name != _INVERSE}
                for number, state in saved["state"].items()
            }
        return saved

    def __setstate__(self, state: dict[str, Any]) -> None:
        # load_state_dict calls this with a new state, of which save_hessian has left something out.
        super().__setstate__(state)
        lost = [own for own in self.state.values() if "iterations" in own and _INVERSE not in own]
        if lost and not self.param_groups[0]["save_hessian"]:
            warn_user(
                f"SSBroyden starts anew after {lost[0]['iterations']} iterations, because the "
                "inverse Hessian was not saved: expect a higher loss for a while. To resume "
                "exactly, use save_hessian=True."
            )

    def _params(self) -> list[Tensor]:
        params = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        kinds = {(parameter.dtype, parameter.device) for parameter in params}
        if len(kinds) != 1 or params[0].is_complex():
            found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds)) or "none"
            raise TrainingError(
                "SSBroyden needs real parameters that require gradients, of one dtype and on one "
                f"device; it has {found}. Convert the model, e.g. model.double()."
            )
        self._check_size()
        if params[0].dtype != torch.float64:
            self._warn_once("precision", _LOW_PRECISION.format(params[0].dtype))
        return params

    def _check_size(self) -> None:
        number = sum(
            parameter.numel()
            for group in self.param_groups
            for parameter in group["params"]
            if not is_lazy(parameter) and parameter.requires_grad
        )
        most = self.param_groups[0]["max_parameters"]
        if number > most:
            raise TrainingError(
                f"SSBroyden keeps a matrix of {number:,} x {number:,} numbers for {number:,} "
                f"parameters, {8 * number**2 / 1e9:,.1f} GB in float64, and max_parameters is "
                f"{most:,}: use a smaller model, or lbfgs, whose memory grows with the number of "
                "parameters only; or raise max_parameters."
            )

    def _warn_once(self, about: str, message: str) -> None:
        if about not in self._warned:
            self._warned |= {about}
            warn_user(message)


_NO_LOWER_LOSS = (
    "The line search of SSBroyden found no lower loss, not even along the gradient, so the "
    "parameters stay; later steps try again. Either the loss is as low as the precision of the "
    "parameters allows, or it changes between calls of the closure: use all points at each step, "
    "without dropout, and float64."
)
_NO_GRADIENT = (
    "The loss is finite, but its gradient is not, so SSBroyden takes no step, and the parameters "
    "stay: a part of the loss is not differentiable where it is, such as sqrt at 0, or an input is "
    "infinite. Change the loss or the data."
)
_LOW_PRECISION = (
    "SSBroyden trains parameters of {}, whose rounding errors soon stop its line search: train "
    'with dtype="float64", or in your own loop call model.double() before you create the optimizer.'
)

_OTHER_OPTIONS = (
    "SSBroyden has one inverse Hessian for all groups of parameters, and one of them has another "
    "{}: pass the same options for all."
)
