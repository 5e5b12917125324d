"""Checks for side effects of a loss: graphs kept alive, changed settings, seeds."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perceptrain_core.random_state import seed_everything
from perceptrain_core.tensors import dense_real, graph_nodes
from perceptrain_core.testing.settings import kept_settings, settings
from perceptrain_core.testing.trial_case import Case


def graph_faults(case: Case) -> Iterator[str]:
    """Report metrics with a separate graph, and results that are kept after the step."""
    used = case.copy()
    loss, metrics = used.step_on(case.batch)
    for name in _separate_graphs(loss, metrics, used.model):
        yield (
            f"the metric {name!r} has a graph that is not part of the loss's: detach it, or, if it "
            "is a term to be weighted, compute the loss from it"
        )
    if metrics and used.step_on(case.batch)[1] is metrics:
        yield "it returns the same dict of metrics each time: return a new one"
    del loss, metrics
    for name in _alive(_evaluated(used, case.batch)):
        yield f"it keeps {name} with its graph after the step: detach tensors that it stores"


def process_faults(case: Case) -> Iterator[str]:
    """Report settings of the process that the loss changes, and random numbers that it seeds."""
    draws, changed = [], set()
    for seed in (1, 2):
        used, before = case.copy(), settings()
        with kept_settings():
            seed_everything(seed)
            used.loss_fn(used.batch, used.model)
            changed |= {name for name, value in settings().items() if value != before[name]}
            draws.append(
                {
                    "Python": random.random(),
                    "NumPy": np.random.rand(),
                    "torch": torch.rand(()).item(),
                }
            )
    for name in sorted(changed):
        yield f"it changes {name} for the whole process"
    for name in draws[0]:
        if draws[0][name] == draws[1][name]:
            yield (
                f"it seeds the global random numbers of {name}: draw from a generator of its own, "
                "or leave seeding to the run"
            )


def _separate_graphs(loss: Tensor, metrics: dict[str, Any], model: nn.Module) -> list[str]:
    """List the metrics whose graph is not part of the loss, and that are not terms of a sum."""
    graphs = {n: v for n, v in metrics.items() if isinstance(v, Tensor) and v.grad_fn is not None}
    nodes = set(graph_nodes([loss]))
    separate = [name for name, value in graphs.items() if value.grad_fn not in nodes]
    if not separate:
        return []
    gradients = torch.stack([_gradient(value, model) for value in graphs.values()], dim=1)
    whole = _gradient(loss, model).unsqueeze(1)
    shares = torch.linalg.lstsq(gradients, whole, driver="gelsd").solution
    if (gradients @ shares - whole).norm() > 1e-3 * whole.norm():
        return separate
    sizes = dict(zip(graphs, (gradients * shares.T).norm(dim=0), strict=True))
    return [name for name in separate if sizes[name] <= 1e-3 * whole.norm()]


def _gradient(value: Tensor, model: nn.Module) -> Tensor:
    """Return the gradient with respect to all parameters, as one float64 vector on the CPU."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(value, parameters, retain_graph=True, materialize_grads=True)
    return torch.cat([dense_real(g.detach()).flatten().cpu().double() for g in gradients])


def _evaluated(case: Case, batch: Any) -> dict[str, weakref.ref[Tensor]]:
    loss, metrics = case.step_on(batch)
    tensors: dict[str, Any] = {"the loss": loss}
    tensors |= {f"the metric {name!r}": value for name, value in metrics.items()}
    return {
        name: weakref.ref(value)
        for name, value in tensors.items()
        if isinstance(value, Tensor) and value.grad_fn is not None
    }


def _alive(references: dict[str, weakref.ref[Tensor]]) -> list[str]:
    gc.collect()
    return [name for name, reference in references.items() if reference() is not None]
