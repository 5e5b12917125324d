"""Points without end, drawn on demand."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from torch.distributions import Distribution
from torch.utils.data import IterableDataset

from perceptrain_core.data.support.sampling import ProbaDist, check_proba_dist, draw_points


class GenerativeIterableDataset(IterableDataset[Any]):
    """Draw a new point each time, without end.

    A ``DataLoader`` collects points into batches, and one batch counts as an epoch of training;
    ``fit`` also accepts the data set itself. Points are drawn only when they are needed, so a
    resumed run draws the same points as an uninterrupted one.

    Each worker of a ``DataLoader`` draws different points if ``proba_dist`` uses the default
    generators of torch, NumPy or Python, which the ``DataLoader`` seeds differently in each
    worker. A generator object inside ``proba_dist`` is copied to every worker, so all workers draw
    the same points.

    Args:
        proba_dist: ``proba_dist(n)`` draws ``n`` points, a tensor of shape ``(n, d)``; an item is
            one point, of shape ``(d,)``. Or an object of ``torch.distributions``. Or a function
            without arguments, which returns an item: a point or, for a
            ``DataLoader(..., batch_size=None)``, a whole batch.

    Raises:
        DataError: ``proba_dist`` is neither a function nor a distribution; or, while iterating,
            ``proba_dist(1)`` does not return a tensor with one row.
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
    if isinstance(proba_dist, Distribution):
        return True
    try:
        inspect.signature(proba_dist).bind(1)
    except ValueError:  # some built-in functions have no signature
        return True
    except TypeError:
        return False
    return True
