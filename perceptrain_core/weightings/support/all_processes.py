"""Terms and weights of several processes, as of one with the rows of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed

from perceptrain_core.counts import counted_sum
from perceptrain_core.errors import LossContractError
from perceptrain_core.processes import connected_processes, describe_difference, hash_of_names
from perceptrain_core.types import Count, SkipBatch

# How many numbers travel with the flag of a skipped batch and the hash of the names. It is fixed,
# because a process that skips its batch does not know how many terms there are.
_FIRST = 64


def pooled_terms(
    terms: Mapping[str, Tensor], counts: Sequence[Count | None]
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the terms of one batch that has the rows of all processes.

    All processes call this, or `skip_everywhere`.

    Args:
        terms: K terms of the batch of this process, 0-dim tensors without a graph.
        counts: What each of them is a mean over; ``None`` for a sum.

    Returns:
        The terms; and the share of this process in each of them, of shape ``(K,)``: what to
        multiply it with, so that the sum over all processes is the term.

    Raises:
        SkipBatch: Another process skips its batch.
        LossContractError: Another process has other terms, or has them in another order.
    """
    own = torch.stack([*terms.values()]).double()
    sizes = [1.0 if count is None else count for count in counts]
    sums = [counted_sum(term, count) for term, count in zip(own.unbind(), counts, strict=True)]
    both = [torch.as_tensor(n, dtype=own.dtype, device=own.device) for n in (*sums, *sizes)]
    stacked = torch.stack(both)
    totals, all_sizes = _summed(stacked, tuple(terms)).view(2, -1)
    is_sum = torch.tensor([count is None for count in counts], device=own.device)
    divisors = torch.where(is_sum | (all_sizes == 0), 1.0, all_sizes)
    # Where nothing counts anywhere, the term is what the loss makes of that.
    pooled = torch.where(~is_sum & (all_sizes == 0), own, totals / divisors)
    values = zip(terms.items(), pooled.unbind(), strict=True)
    shares = stacked[len(counts) :] / torch.where(is_sum, 1.0, divisors)
    return {name: value.to(term) for (name, term), value in values}, shares


def skip_everywhere(device: torch.device) -> None:
    """Make the other processes, which call `pooled_terms`, skip their batches."""
    flagged = torch.zeros(2 + _FIRST, dtype=torch.float64, device=device)
    flagged[0] = 1
    distributed.all_reduce(flagged)


def _summed(values: Tensor, names: tuple[str, ...]) -> Tensor:
    """Return the sums over all processes, which have values of the same names."""
    own = hash_of_names(names)
    first = torch.zeros(2 + _FIRST, dtype=values.dtype, device=values.device)
    first[1] = own
    first[2 : 2 + len(values)] = values[:_FIRST]
    distributed.all_reduce(first)
    skips, hashes = first[:2].tolist()
    if skips:
        raise SkipBatch
    if hashes != own * distributed.get_world_size():
        raise LossContractError(_other_terms(names))
    rest = values[_FIRST:].clone()
    if len(rest):
        distributed.all_reduce(rest)
    return torch.cat([first[2 : 2 + len(values)], rest])


def _other_terms(names: tuple[str, ...]) -> str:
    """Describe the terms of all processes, all of which call this."""
    everywhere: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everywhere, names)
    return (
        f"The terms of the loss are {describe_difference(everywhere)}. A "
        "weighting needs the same terms in the same order in all processes: return every term for "
        "every batch, with the count 0 (see Counted) if no row of the batch belongs to it."
    )


def add_everywhere(numbers: Sequence[float], device: torch.device) -> list[float]:
    """Return the sum of each number over all processes; the numbers, if there is only one."""
    if connected_processes() < 2:
        return [*numbers]
    sums = torch.tensor([*numbers], dtype=torch.float64, device=device)
    distributed.all_reduce(sums)
    return sums.tolist()


def first_weights(weights: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return the weights of the first process, so that all minimize the same function."""
    if not weights:
        return {}
    values = torch.stack([weight.to(device, torch.float64) for weight in weights.values()])
    distributed.broadcast(values, src=0)
    pairs = zip(weights.items(), values.unbind(), strict=True)
    return {name: value.to(weight) for (name, weight), value in pairs}
