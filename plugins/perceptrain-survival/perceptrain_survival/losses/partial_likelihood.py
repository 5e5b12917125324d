"""The partial likelihood of Cox's model, with ties."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_survival.labels import SurvivalLabels


def negative_terms(log_risk: Tensor, labels: SurvivalLabels, ties: str) -> Tensor:
    """Return the negative logarithms of the factors of the partial likelihood.

    The factor of an event is the share of its row in the risk of all rows that are still observed
    at its time. Breslow's approximation counts events at one time as if each came first; Efron's
    lowers the risk by an equal part of these rows for each event after the first.

    Args:
        log_risk: The logarithm of the relative hazard of each row, shape ``(N,)``.
        labels: Events, times and strata of the rows.
        ties: ``"efron"`` or ``"breslow"``.

    Returns:
        A tensor of shape ``(N,)``, 0 for censored rows, in another order than the rows. It has a
        graph, and finite gradients, without any event too.
    """
    if labels.strata is None or not len(labels):
        return _terms(log_risk, labels.event, labels.time, ties)
    rows = [labels.strata == number for number in torch.unique(labels.strata)]
    return torch.cat([_terms(log_risk[r], labels.event[r], labels.time[r], ties) for r in rows])


def _terms(log_risk: Tensor, event: Tensor, time: Tensor, ties: str) -> Tensor:
    # The last first: the rows at risk are those up to the last one of the same time.
    backwards, order = torch.sort(-time, stable=True)
    log_risk, event = log_risk[order], event[order]
    first = torch.searchsorted(backwards, backwards)
    last = torch.searchsorted(backwards, backwards, right=True) - 1
    at_risk = log_risk.logcumsumexp(0)[last]
    if ties == "efron":
        at_risk = at_risk + torch.log1p(-_efron_share(log_risk, event, first, last, at_risk))
    return torch.where(event, at_risk - log_risk, 0.0)


def _efron_share(
    log_risk: Tensor, event: Tensor, first: Tensor, last: Tensor, at_risk: Tensor
) -> Tensor:
    """Return the share of the risk that Efron's approximation takes off, for each event."""
    counts = event.long().cumsum(0)
    before = counts[first] - event[first].long()
    tied = (counts[last] - before).clamp(min=1)
    # Relative to the largest of each time, so that no exponential overflows.
    largest = torch.full_like(log_risk, -torch.inf).scatter_reduce(
        0, first, log_risk.detach(), "amax"
    )[first]
    risks = torch.exp(log_risk - largest) * event
    of_tied = torch.zeros_like(risks).index_add(0, first, risks)[first]
    earlier = (counts - before - 1).to(log_risk) / tied
    return earlier * of_tied * torch.exp(largest - at_risk)
