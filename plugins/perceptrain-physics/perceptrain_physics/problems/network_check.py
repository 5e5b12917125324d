"""Whether a network has the inputs and outputs of a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from perceptrain.errors import ShapeError
from perceptrain_physics.inputs import coordinates, other_inputs, values_at

if TYPE_CHECKING:
    from perceptrain_physics.problems.base import Problem


def check_network(problem: Problem, inner: Any, network: nn.Module, inputs: int) -> None:
    """Evaluate a network at one point, and check the number of its inputs and outputs.

    Args:
        problem: The problem.
        inner: The network that was passed.
        network: The model of the solution: the network, or a hard model around it.
        inputs: The number of inputs that ``inner`` must have.

    Raises:
        ShapeError: A number is another one.
    """
    name, outputs = type(problem).__name__, problem.outputs
    example = f"such as MLP([{inputs}, 50, 50, {outputs}])"
    point = torch.tensor([problem.box.mean], dtype=torch.float64)
    try:
        # A compiled network would be compiled for one point.
        values = problem.solution(values_at(getattr(network, "_orig_mod", network), point))
    except Exception as error:
        found = other_inputs(inner, inputs)
        if found is None:
            return  # a network that needs more than one point; the training will tell
        embedded = "; a periodic one becomes two inputs" if inputs != len(problem.box.low) else ""
        raise ShapeError(
            f"The network has {found} input{'s' * (found > 1)}, and {name} has "
            f"{coordinates_of(problem)}{embedded}. Expected a network with {inputs} input"
            f"{'s' * (inputs > 1)}, {example}."
        ) from error
    if values.ndim == 2 and values.shape[1] != outputs:
        found = values.shape[1]
        raise ShapeError(
            f"The network has {found} output{'s' * (found > 1)}, and {name} has {outputs}; "
            f"expected a network {example}. In a problem of your own, set outputs = {found} in the "
            "class, or let its method solution select columns."
        )


def coordinates_of(problem: Problem) -> str:
    """Return the number and the letters of a problem's coordinates, for a message."""
    return coordinates(len(problem.box.low), getattr(problem, "inputs", ()))
