"""Loops by hand, as a careful person writes them, and Perceptrain."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.turns import Feed
from benchmarks.works import Work

#: Trains a network for some epochs on the batches of a feed, and returns it.
Loop = Callable[[Work, Feed, int], nn.Module]


class NotApplicable(Exception):
    """A loop cannot train a work; the message says why."""


def by_hand(
    work: Work, feed: Feed, epochs: int, *, fused: bool = False, compiled: bool = False
) -> nn.Module:
    """The loop by hand.

    Args:
        work: The work.
        feed: Its batches.
        epochs: Number of epochs.
        fused: Use the fused kernel of Adam.
        compiled: Compile the network with ``torch.compile``.
    """
    if compiled and work.residuals is not None:
        raise NotApplicable("torch.compile has no second derivatives")
    network = work.network()
    model = torch.compile(network) if compiled else network
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=fused)
    feed.batches = work.prepared()
    for _ in range(epochs):
        for batch in feed:
            optimizer.zero_grad(set_to_none=True)
            loss = work.loss(batch, model)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return network


def perceptrain(
    work: Work, feed: Feed, epochs: int, *, fused: bool = False, **settings: Any
) -> nn.Module:
    """``Trainer.fit``.

    Args:
        work: The work.
        feed: Its batches.
        epochs: Number of epochs.
        fused: Use the fused kernel of Adam.
        settings: Further settings of `TrainConfig`.
    """
    from perceptrain import PINN, TrainConfig, Trainer

    network = work.network()
    residuals = work.residuals
    model = network if residuals is None else PINN(network, residuals)
    loss = "mse" if work.criterion is None else work.criterion[0]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)
    config = TrainConfig(max_iter=epochs, verbose=False, tracking_tool="none", **settings)
    Trainer(model, optimizer, config, loss_fn=loss).fit(feed)
    return network


HAND: dict[str, Loop] = {
    "by hand": by_hand,
    "by hand, fused": partial(by_hand, fused=True),
    "by hand, torch.compile": partial(by_hand, compiled=True),
}
PERCEPTRAIN: dict[str, Loop] = {
    "Perceptrain": perceptrain,
    "Perceptrain, fused": partial(perceptrain, fused=True),
    "Perceptrain, compile=True": partial(perceptrain, compile="strict"),
}
