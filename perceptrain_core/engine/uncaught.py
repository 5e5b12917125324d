"""Report an error that ends one of several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from perceptrain_core.engine.lost_processes import name_the_lost


def report_uncaught() -> None:
    """Print uncaught errors with the rank of this process, and record them for ``torchrun``.

    ``torchrun`` then shows the first error with its traceback.
    """
    if not isinstance(sys.excepthook, _Report):  # this process may join several groups in turn
        sys.excepthook = _Report(sys.excepthook)


@dataclass(frozen=True)
class _Report:
    """The hook for uncaught errors.

    Attributes:
        before: The hook that prints.
    """

    before: Callable[[type[BaseException], BaseException, TracebackType | None], object]

    def __call__(
        self, kind: type[BaseException], error: BaseException, place: TracebackType | None
    ) -> None:
        named = name_the_lost(error)
        if dist.is_initialized():
            named.add_note(f"In process {dist.get_rank()} of {dist.get_world_size()}.")
        if os.environ.get("TORCHELASTIC_ERROR_FILE") and isinstance(named, Exception):
            _record(named)
        self.before(type(named), named, named.__traceback__)


def _record(error: Exception) -> None:
    place = error.__traceback__
    try:
        raise error
    except Exception:
        get_error_handler().record_exception(error)
        error.with_traceback(place)
