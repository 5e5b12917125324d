"""Points without end, each drawn when it is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from torch.distributions import Distribution
from torch.utils.data import IterableDataset

from perceptrain_core.data.sampling import (
    ProbaDist,
    check_proba_dist,
    distribution_of,
    draw_points,
)


class GenerativeIterableDataset(IterableDataset[Any]):
    """Draw a new point each time, without end.

    A ``DataLoader`` makes batches of them, and one batch counts as an epoch of training; ``fit``
    takes the data set as it is, too. Nothing is drawn before it is needed, so that a resumed run
    draws what the uninterrupted one would have drawn.

    With workers each draws its own points, as long as they come from the default generators of
    torch, NumPy or Python, which a ``DataLoader`` seeds apart; a generator object inside
    ``proba_dist`` is copied to every worker, and all draw the same.

    Args:
        proba_dist: ``proba_dist(n)`` draws ``n`` points, a tensor of shape ``(n, d)``; an item is
            one, of shape ``(d,)``. Or an object of ``torch.distributions``. Or a function without
            arguments, such as ``Normal(0.0, 1.0).sample``: an item is what it returns, a point or,
            in a ``DataLoader(..., batch_size=None)``, a whole batch.

    Raises:
        DataError: There is nothing to draw from; while iterating, ``proba_dist(1)`` does not give
            a tensor with one row.
    """

    #: A loader of this data set counts one batch as an epoch.
    infinite = True

    def __init__(self, proba_dist: ProbaDist | Callable[[], Any]) -> None:
        check_proba_dist(proba_dist)
        self.proba_dist: Any = proba_dist
        self._counted = _takes_a_number(proba_dist)

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield draw_points(self.proba_dist, 1)[0] if self._counted else self.proba_dist()


def _takes_a_number(proba_dist: Any) -> bool:
    if distribution_of(proba_dist) is not None:
        return isinstance(proba_dist, Distribution)  # its method sample counts with a shape
    try:
        inspect.signature(proba_dist).bind(1)
    except ValueError:  # some built-in functions do not tell
        return True
    except TypeError:
        return False
    return True
