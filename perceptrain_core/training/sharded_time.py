"""The time for which the model of a fit is sharded, and its end, after an error too."""

from __future__ import annotations

from types import TracebackType

from perceptrain_core.engine import Engine
from perceptrain_core.errors import TrainingError


class ShardedTime:
    """Makes the model and the optimizer of a fit whole again when a ``with`` block ends.

    After an error, their values are kept only if all processes give their shares. Before and after
    the training they do: each calls `meet` now and then, and learns there of the errors of others.
    A step may fail while the others are anywhere, so the values are lost then.

    Args:
        engine: Connects the processes. Without a sharded model nothing here does anything.

    Attributes:
        meets: Whether all processes come to a next call of `meet`; set to false during training.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._have_failed = False
        self.meets = True

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Make the model whole."""
        self.end(error is None or (isinstance(error, Exception) and self._is_known(error)))

    def _is_known(self, error: Exception) -> bool:
        """Whether all processes know that one has failed."""
        if self._engine.sharded is not None and self.meets and not self._have_failed:
            try:
                self.meet(error)
            except Exception:  # the connection is lost; the first error is the one to report
                return False
        return self._have_failed

    def meet(self, error: Exception | None = None) -> None:
        """Wait for all processes, and raise an error if one of them has failed.

        Args:
            error: Of this process, if it has failed; it is not raised here.

        Raises:
            TrainingError: Another process has failed.
        """
        if self._engine.sharded is None:
            return
        own = None if error is None else f"{type(error).__name__}: {error}"
        found = self._engine.gather(own)
        failed = [(rank, reason) for rank, reason in enumerate(found) if reason is not None]
        self._have_failed = bool(failed)
        if failed and error is None:
            rank, reason = failed[0]
            raise TrainingError(f"Process {rank} failed, so this one stops, too: {reason}")

    def end(self, whole: bool) -> None:
        """Make the model and the optimizer whole again; they are once this was called.

        Args:
            whole: Whether all processes call this; otherwise the values are lost.
        """
        sharded, self._engine.sharded = self._engine.sharded, None
        if sharded is not None:
            sharded.dissolve(whole)
