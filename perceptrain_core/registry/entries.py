"""An entry of the registry: a name, where it comes from, and its target, imported on demand.

Listings need no target, so the modules that load and call targets are imported only when used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perceptrain_core.errors import TargetError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from inspect import Parameter, Signature

    from perceptrain_core.registry.kinds import Kind


class Entry:
    """A name in the registry.

    Attributes:
        kind: The kind, ``"loss"``.
        name: Its short name, ``"dice"``.
        qualified_name: ``"perceptrain-segmentation/dice"``, always valid; for a reference, the
            reference itself.
        summary: One line for the listings.
        summary_lines: How many lines the plugin wrote; they are joined.
        target: ``"package.module:attribute"``, or the object itself.
        distribution: The distribution that offers it; ``None`` for a reference.
        version: The version of the distribution, if it has one.
    """

    __slots__ = (
        "_base",
        "_kind",
        "_loaded",
        "distribution",
        "name",
        "qualified_name",
        "summary",
        "summary_lines",
        "target",
        "version",
    )

    def __init__(
        self,
        kind: Kind,
        name: str,
        target: str | Callable[..., Any],
        summary: str = "",
        *,
        distribution: str | None = None,
        version: str | None = None,
        base: str | os.PathLike[str] | None = None,
    ) -> None:
        self._kind = kind
        self.name = name
        self.qualified_name = f"{distribution}/{name}" if distribution else name
        # A line break would break the columns of a listing.
        self.summary = " ".join(summary.split())
        self.summary_lines = len(summary.splitlines())
        self.target = target
        self.distribution = distribution
        self.version = version
        self._base = base
        self._loaded: tuple[Any] | None = None

    def __repr__(self) -> str:
        return f"Entry({self.kind} {self.qualified_name!r}, target={self.target!r})"

    @property
    def kind(self) -> str:
        """The kind in the singular, ``"loss"``."""
        return self._kind.singular

    def load(self) -> Any:
        """Import the target, once.

        Returns:
            The target: a class, a function, or a callable object.

        Raises:
            TargetError: The target cannot be imported; ``__cause__`` is the original error.
        """
        if self._loaded is None:
            self._loaded = (self._import(),)
        return self._loaded[0]

    def _import(self) -> Any:
        if not isinstance(self.target, str):
            return self.target
        from perceptrain_core.registry.references import load_reference

        try:
            registered = self.distribution is not None
            return load_reference(self.target, self._base, registered=registered)
        except TargetError as error:
            if self.distribution is None:
                raise
            version = f" {self.version}" if self.version else ""
            raise TargetError(
                f"The {self.kind} {self.name!r} of {self.distribution}{version} "
                f"cannot be loaded: {error}"
            ) from (error.__cause__ or error)

    def signature(self) -> Signature | None:
        """Import the target and return its signature, or ``None`` if it has none."""
        from perceptrain_core.registry.options import signature_of

        return signature_of(self.load())

    def options(self) -> dict[str, Parameter]:
        """Import the target and return its options by name."""
        from perceptrain_core.registry.options import option_parameters

        target, signature = self.load(), self.signature()
        if signature is None:
            return {}
        # A loss class is built with options only; its objects are called with batch and model.
        is_loss_class = self.kind == "loss" and isinstance(target, type)
        return option_parameters(signature, 0 if is_loss_class else len(self._kind.leading))

    def build(self, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Load the target, then call it or bind its options; see ``options.build``."""
        from perceptrain_core.registry.called_code import check_code
        from perceptrain_core.registry.options import build

        label, target = f"The {self.kind} {self.name!r}", self.load()
        if self.distribution is None:
            check_code(label, target, self.kind)
        return build(self._kind, label, target, args, options)

    def provenance(self) -> dict[str, str | None]:
        """Return the qualified ``name``, ``distribution`` and ``version``, for checkpoints."""
        return {
            "name": self.qualified_name,
            "distribution": self.distribution,
            "version": self.version,
        }
