"""Which rows are for training, validation and test: at random, by class, or by group."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from perceptrain_core.errors import DataError


@dataclass(frozen=True)
class Traits:
    """What a choice of rows takes into account.

    Attributes:
        classes: The class of each row, integers of shape ``(N,)``: each part gets its share of
            every class.
        groups: The group of each row, integers of shape ``(N,)``: a part has all rows of a group,
            or none.
    """

    classes: Tensor | None = None
    groups: Tensor | None = None

    def of(self, rows: Tensor) -> Traits:
        """Return the traits of some of the rows."""
        parts = (None if t is None else t.cpu()[rows] for t in (self.classes, self.groups))
        return Traits(*parts)


def choose_rows(rows: int, sizes: tuple[int, int], seed: int, traits: Traits) -> list[Tensor]:
    """Choose rows for training, validation and test at random.

    Args:
        rows: The number of rows.
        sizes: The numbers of rows for validation and for test. With groups they are approximate.
        seed: The same seed chooses the same rows.
        traits: The classes or groups, if the choice takes them into account.

    Returns:
        The numbers of the rows of each part.

    Raises:
        DataError: There are too few groups.
    """
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    val, test = sizes
    if traits.groups is not None:
        return _whole_groups(order, traits.groups.cpu(), val, test)
    if traits.classes is None:
        return list(torch.split(order, [rows - val - test, val, test]))
    order = order[traits.classes.cpu()[order].argsort(stable=True)]
    rest, val_rows = _evenly(order, val)
    train_rows, test_rows = _evenly(rest, test)
    return [train_rows, val_rows, test_rows]


def rows_of_fold(rows: int, folds: int, fold: int, seed: int, traits: Traits) -> Tensor:
    """Choose the rows that a fold validates, as a mask of shape ``(rows,)``.

    Args:
        rows: The number of rows.
        folds: The number of folds.
        fold: The fold, counted from 1.
        seed: The same seed makes the same folds.
        traits: The classes or groups, if the folds take them into account.

    Raises:
        DataError: There are fewer groups than folds.
    """
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    if traits.groups is not None:
        return _fold_of_groups(order, traits.groups.cpu(), folds) == fold - 1
    if traits.classes is not None:
        order = order[traits.classes.cpu()[order].argsort(stable=True)]
    # Dealt like cards, so that folds share each class evenly, and all rows too.
    validated = torch.zeros(rows, dtype=torch.bool)
    validated[order[fold - 1 :: folds]] = True
    return validated


def _evenly(order: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Take a number of rows at equal distances: from sorted rows, each class's share."""
    places = torch.arange(len(order) + 1) * number // max(1, len(order))
    taken = places.diff() > 0
    return order[~taken], order[taken]


def _whole_groups(order: Tensor, groups: Tensor, val: int, test: int) -> list[Tensor]:
    """Fill validation, then test, with the groups whose middle row is within them."""
    numbers, ranks, sizes = _in_random_order(order, groups)
    middles = sizes.cumsum(0) - sizes / 2
    parts = (middles >= val).long() + (middles >= val + test).long()
    part = torch.empty_like(parts).scatter_(0, ranks, parts)[numbers]
    val_rows, test_rows, train_rows = ((part == i).nonzero().flatten() for i in range(3))
    for name, wanted, found in (("val", val, val_rows), ("test", test, test_rows)):
        if wanted and not len(found):
            raise DataError(
                f"{len(sizes)} groups cannot be split: {name}_fraction={wanted / len(order):.2g} "
                "chooses no whole group. Use a larger fraction."
            )
    if not len(train_rows):
        raise DataError(
            f"{len(sizes)} groups cannot be split: none is left for training. "
            "Use smaller fractions."
        )
    return [train_rows, val_rows, test_rows]


def _fold_of_groups(order: Tensor, groups: Tensor, folds: int) -> Tensor:
    """Return the fold of each row: large groups first, each to the fold with the fewest rows."""
    numbers, ranks, sizes = _in_random_order(order, groups)
    if len(sizes) < folds:
        raise DataError(f"{len(sizes)} groups cannot have {folds} folds: use fewer folds.")
    rows, fold = torch.zeros(folds), torch.zeros(len(sizes), dtype=torch.int64)
    for place in sizes.argsort(descending=True, stable=True).tolist():
        smallest = int(rows.argmin())
        fold[ranks[place]] = smallest
        rows[smallest] += sizes[place]
    return fold[numbers]


def _in_random_order(order: Tensor, groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the number of each row's group, and the groups in the order of their first rows.

    Returns:
        For each row the number of its group; the numbers of the groups in random order; and
        their sizes in this order.
    """
    _, numbers, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    first = torch.full_like(sizes, len(order)).scatter_reduce_(
        0, numbers[order], torch.arange(len(order)), "amin"
    )
    ranks = first.argsort()
    return numbers, ranks, sizes[ranks]
