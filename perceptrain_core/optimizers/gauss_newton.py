"""Gauss-Newton methods for losses that are sums of squares."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from perceptrain_core.errors import TrainingError
from perceptrain_core.least_squares.columns import Columns
from perceptrain_core.least_squares.linearized import (
    DenseLinearized,
    LeastSquaresProblem,
    Linearized,
)
from perceptrain_core.option_checks import choice_faults, number_faults, refuse
from perceptrain_core.user_warnings import warn_user

Method: TypeAlias = Literal["lm", "engd", "spring"]
Solver: TypeAlias = Literal["auto", "cholesky", "cg"]

#: Returns the residuals after a step, at which the parameters do not stay.
After: TypeAlias = Callable[[Tensor], Tensor]

_NO_LOWER_LOSS = (
    "A Gauss-Newton step found no lower loss, so the parameters stay; later steps try again. "
    "Either the loss is as low as the precision of the parameters allows, or it changes between "
    "two evaluations, or has no derivative here: use float64, and no random numbers in the loss."
)

#: Steps that a line search compares: 1, 1/2, ..., 2^-30.
_LENGTHS = tuple(2.0**-k for k in range(31))
#: The part of a step that shows how the residuals bend, and the largest acceleration relative to
#: the step; both from arXiv 1201.5885.
_PROBE, _MOST_ACCELERATION = 0.1, 0.75


class GaussNewton(Optimizer):
    """Levenberg-Marquardt and related methods, for losses that are sums of squares.

    A step solves the linear least-squares problem of the residuals ``r`` with their Jacobian ``J``.
    With the few thousand parameters of the networks of PINNs it costs as much as tens of steps of
    Adam, and gains what thousands of them do. It needs a loss with ``residuals``, see
    `LeastSquaresLoss`: the mean squared error on labels or on the residuals of a PINN, also
    weighted. Use float64. The trainer passes the problem to `step`; there is no learning rate. ::

        model.double()
        trainer = Trainer(model, "gauss_newton", TrainConfig(max_iter=200, dtype=torch.float64))

    Methods:

    - ``"lm"``: Levenberg-Marquardt, ``d = -(J^T J + damping)^-1 J^T r``, with the damping of
      Nielsen ("Damping parameter in Marquardt's method", IMM-REP-1999-05): it falls when the linear
      model predicts the loss well, and a step that does not reduce the loss is tried again with
      more. It works from any start, and with new points in each step. Half the geodesic
      acceleration (Transtrum and Sethna, arXiv 1201.5885) is added to each step: residuals at a
      tenth of the step show how they bend, and the step follows.
    - ``"engd"``: energy natural gradient descent (arXiv 2302.13163), ``d = -pinv(J) r``, with the
      best of 31 step lengths ``1, 1/2, ..., 2^-30``. It has the best single results, and fails
      more often.
    - ``"spring"``: for new points in each step (arXiv 2401.10190, 2505.12149), with a constant
      damping and a momentum: ``d`` minimizes ``|J d + r|^2 + damping |d - momentum d_before|^2``.
      The step length is searched as for "engd".

    Args:
        params: The parameters, or a list with one parameter group.
        method: See above.
        damping: Relative to the largest diagonal element of ``J^T J``: for "lm" the damping of the
            first step, by default 1e-3; for "spring" that of each step, by default 1e-8.
        momentum: For "spring".
        acceleration: For "lm", whether steps follow how the residuals bend. It costs one evaluation
            of the residuals for each trial.
        max_trials: For "lm", how often a step is tried before the parameters stay as they are.
        solver: ``"cholesky"`` factorizes the smaller of ``J^T J`` and ``J J^T``; ``"cg"`` solves by
            conjugate gradients, without computing ``J``. ``"auto"`` uses the first up to
            ``max_parameters``, if ``J`` has at most 2^28 elements (2 GiB in float64).
        max_parameters: For ``solver="auto"``.
        cg_iterations: The most iterations of a solution by "cg".
        cg_tolerance: The residual of a solution by "cg", relative to the gradient.
        rcond: For "engd": singular values of ``J`` below this share of the largest count as zero.
            Smaller values are more exact, and fail more often.

    Raises:
        ConfigError: An option is invalid.
        TrainingError: There are several parameter groups.
    """

    #: What makes the trainer pass residuals to `step`.
    needs_residuals = True
    #: It chooses the length of its steps: see ``training/steppers/second_order.py``.
    second_order = True
    _warned = False

    def __init__(
        self,
        params: ParamsT,
        method: Method = "lm",
        *,
        damping: float | None = None,
        momentum: float = 0.9,
        acceleration: bool = True,
        max_trials: int = 10,
        solver: Solver = "auto",
        max_parameters: int = 10_000,
        cg_iterations: int = 100,
        cg_tolerance: float = 1e-3,
        rcond: float = 1e-6,
    ) -> None:
        counts = {
            "max_trials": max_trials,
            "max_parameters": max_parameters,
            "cg_iterations": cg_iterations,
        }
        faults = [
            *choice_faults({"method": method}, get_args(Method)),
            *choice_faults({"solver": solver}, get_args(Solver)),
            *choice_faults({"acceleration": acceleration}, (True, False)),
            *number_faults({"damping": 1.0 if damping is None else damping}, above=0),
            *number_faults({"momentum": momentum}, at_least=0, below=1),
            *number_faults(counts, whole=True, at_least=1),
            *number_faults({"cg_tolerance": cg_tolerance, "rcond": rcond}, above=0, below=1),
        ]
        if method == "engd" and solver == "cg":
            faults.append("method='engd' needs the Jacobian: expected solver 'auto' or 'cholesky'")
        refuse("GaussNewton", faults)
        own = {"method": method, "damping": damping, "momentum": momentum, "solver": solver}
        numbers = {**counts, "cg_tolerance": cg_tolerance, "rcond": rcond}
        options = {**own, **numbers, "acceleration": acceleration}
        super().__init__(params, options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the parameter group; there can be only one.

        Raises:
            TrainingError: There is a parameter group already.
        """
        if self.param_groups:
            raise TrainingError(
                "GaussNewton accepts one group of parameters only, because a step is computed for "
                "all of them together: pass all parameters in one list."
            )
        super().add_param_group(param_group)

    @property
    def trained(self) -> list[Tensor]:
        """The parameters that are not frozen."""
        # A sequence may have several groups.
        return [p for group in self.param_groups for p in group["params"] if p.requires_grad]

    def is_dense(self, rows: int) -> bool:
        """Whether the Jacobian of a number of residuals is to be computed."""
        group = self.param_groups[0]
        if group["solver"] != "auto" or group["method"] == "engd":
            return bool(group["solver"] != "cg")
        number = sum(p.numel() for p in self.trained)
        return bool(number <= group["max_parameters"] and rows * number <= 2**28)

    def step(self, problem: LeastSquaresProblem | None = None) -> None:  # type: ignore[override]
        """Take one step; if anything raises, the parameters are restored.

        Args:
            problem: The residuals of the loss as a function of the parameters.

        Raises:
            TrainingError: It is something else, such as a closure.

        Warns:
            UserWarning: No trial reduced the loss (once).
        """
        if problem is None or callable(problem):
            got = "no argument" if problem is None else "a function"
            raise TrainingError(
                f"GaussNewton.step got {got}; expected a LeastSquaresProblem: gradients and a "
                "closure that returns the loss say nothing about its residuals. Use the Trainer; "
                "in a loop of your own replace backward() and step() by "
                "perceptrain.default_optimize_step(model, optimizer, loss_fn, batch)."
            )
        group = self.param_groups[0]
        if self.is_dense(problem.rows):
            at: Linearized = problem.dense()
        else:
            at = problem.implicit(group["cg_iterations"], group["cg_tolerance"])
        if not 0 < at.value < inf:
            return
        # Through `data`, so that a graph at the start of the step is valid when back there.
        columns = Columns(p.data for p in self.trained)
        start = columns.flat(columns.parameters)

        def write(vector: Tensor) -> None:
            torch._foreach_copy_(columns.parameters, columns.split(vector))

        def after(step: Tensor) -> Tensor:
            write(start + step)
            try:
                return problem.residuals()
            finally:
                write(start)

        methods = {"lm": self._levenberg_marquardt, "engd": self._engd, "spring": self._spring}
        step = methods[group["method"]](at, after)
        if step is not None:
            write(start + step)

    def _levenberg_marquardt(self, at: Linearized, after: After) -> Tensor | None:
        group, state = self.param_groups[0], self._state
        if "damping" not in state:
            relative = 1e-3 if group["damping"] is None else group["damping"]
            largest = at.largest_square() or 1.0
            state["damping"] = relative * largest
            state["rounding"] = torch.finfo(at.residuals.dtype).eps * largest
            # Parameters of a curve may differ by many powers of ten: the damping is not to hold
            # those with small derivatives.
            state["least_damping"] = torch.finfo(at.residuals.dtype).eps * state["rounding"]
        damping, growth = state["damping"], 2.0
        for _ in range(group["max_trials"]):
            step = at.solve(at.residuals, damping)
            if step is None:  # the matrix is singular up to rounding, as in later steps
                state["least_damping"] = state["rounding"]
                damping, growth = max(damping * growth, state["rounding"]), growth * 2
                continue
            predicted = at.predicted_reduction(step)
            if predicted > 0:
                if group["acceleration"]:
                    step = step + _acceleration(at, step, damping, after) / 2
                gain = (at.value - _loss(after(step))) / predicted
                if gain > 0:
                    lower = damping * max(1 / 3, 1 - (2 * gain - 1) ** 3)
                    state["damping"] = max(lower, state["least_damping"])
                    return step
            damping, growth = damping * growth, growth * 2
        state["damping"] *= 10  # the next step tries others
        self._warn_of_no_step(at)
        return None

    def _engd(self, at: Linearized, after: After) -> Tensor | None:
        step = _search(pseudo_inverse_step(at, self.param_groups[0]["rcond"]), at.value, after)
        if step is None:
            self._warn_of_no_step(at)
        return step

    def _spring(self, at: Linearized, after: After) -> Tensor | None:
        group, columns = self.param_groups[0], Columns(self.trained)
        relative = 1e-8 if group["damping"] is None else group["damping"]
        last = {p: self.state[p].pop("momentum", None) for p in group["params"]}
        kept = [last[p] for p in columns.parameters]
        before = group["momentum"] * columns.flat(kept).detach()
        shifted = at.residuals + at.times(before)
        change = at.solve(shifted, relative * (at.largest_square() or 1.0))
        step = None if change is None else _search(before + change, at.value, after)
        if step is not None:
            for p, momentum in zip(columns.parameters, columns.split(step), strict=True):
                self.state[p]["momentum"] = momentum.clone()
        elif all(momentum is None for momentum in kept):  # or else the next step goes without
            self._warn_of_no_step(at)
        return step

    def _warn_of_no_step(self, at: Linearized) -> None:
        """Warn once that no step was found, unless there is nothing left to gain."""
        least = (torch.finfo(at.gradient.dtype).eps * at.largest_square() * at.value) ** 0.5
        if self._warned or not float(at.gradient.norm()) > least:
            return
        self._warned = True
        warn_user(_NO_LOWER_LOSS)

    @property
    def _state(self) -> dict[str, Any]:
        """The state of all parameters, kept with the first."""
        state: dict[str, Any] = self.state[self.param_groups[0]["params"][0]]
        return state


def pseudo_inverse_step(at: Linearized, rcond: float) -> Tensor:
    """Return ``-pinv(J) r``, the shortest solution of the linear least-squares problem."""
    if not isinstance(at, DenseLinearized):
        raise TrainingError("The pseudo-inverse needs the Jacobian, which was not computed.")
    jacobian, right = at.jacobian, -at.residuals.unsqueeze(1)
    if jacobian.is_cpu:
        found = torch.linalg.lstsq(jacobian, right, rcond=rcond, driver="gelsd")
        solution: Tensor = found.solution
    else:
        solution = torch.linalg.pinv(jacobian, rtol=rcond) @ right
    return solution.squeeze(1)


def _acceleration(at: Linearized, step: Tensor, damping: float, after: After) -> Tensor:
    """Return the geodesic acceleration along a step; zeros where the step is too long for it."""
    slope = (after(_PROBE * step) - at.residuals) / _PROBE
    found = at.solve(2 / _PROBE * (slope - at.times(step)), damping)
    if found is None or not 2 * found.norm() <= _MOST_ACCELERATION * step.norm():
        return torch.zeros_like(step)
    return found


def _loss(residuals: Tensor) -> float:
    return float(residuals.square().sum())


def _search(step: Tensor, before: float, after: After) -> Tensor | None:
    """Return the step, of the length with the smallest loss; None if none reduces it."""
    values = {length: _loss(after(length * step)) for length in _LENGTHS}
    lower = {length: loss for length, loss in values.items() if loss < before}
    return min(lower, key=lower.__getitem__) * step if lower else None
