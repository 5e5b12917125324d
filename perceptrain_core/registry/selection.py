"""The environment variable ``PERCEPTRAIN_PLUGINS``, which selects the plugins to load."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from perceptrain_core.errors import PluginSelectionError
from perceptrain_core.registry.messages import not_installed

VARIABLE = "PERCEPTRAIN_PLUGINS"
_LONGEST = 100

#: The distribution of the built-ins.
BUILTIN_DISTRIBUTION = "perceptrain-core"


def normalized(distribution: str) -> str:
    """Normalize the name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


class Selection(NamedTuple):
    """Which distributions may load; the built-ins always do.

    Attributes:
        text: The value of the variable, ``None`` when it is not set.
        only: The distributions that may load, ``None`` when all may.
        without: The distributions that may not.
    """

    text: str | None = None
    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()

    @property
    def shown(self) -> str:
        """The value as shown in messages, cut if it is long."""
        shown = repr(self.text)
        return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]} ..."

    def allows(self, distribution: str) -> bool:
        """Whether the distribution, by its normalized name, may load."""
        return distribution not in self.without and (self.only is None or distribution in self.only)

    def check(self, installed: Collection[str]) -> None:
        """Raise PluginSelectionError if an entry names none of the installed distributions."""
        named = self.without | (self.only or frozenset()) - {BUILTIN_DISTRIBUTION}
        unknown = sorted(named.difference(installed))
        if not unknown:
            return
        raise PluginSelectionError(f"{VARIABLE}={self.shown}: {not_installed(unknown, installed)}")


def read_selection(environ: Mapping[str, str]) -> Selection:
    """Read from the environment which plugins may load.

    Args:
        environ: The environment variables.

    Returns:
        The selection: all when the variable is unset, none when it is empty, only ``a`` and
        ``b`` for ``"a,b"``, all but ``a`` for ``"-a"``.

    Raises:
        PluginSelectionError: Names with and without a minus are mixed, or the built-ins are
            excluded.
    """
    text = environ.get(VARIABLE)
    if text is None:
        return Selection()
    items = [item.strip() for item in text.split(",") if item.strip()]
    minus = [item for item in items if item.startswith("-")]
    if minus and len(minus) < len(items):
        raise PluginSelectionError(
            f"{VARIABLE}={text!r} mixes names with and without a minus: "
            "write 'a,b' to load only these plugins, or '-a,-b' to load all others."
        )
    names = frozenset(normalized(item.removeprefix("-").strip()) for item in items)
    if not minus:
        return Selection(text, only=names)
    if BUILTIN_DISTRIBUTION in names:
        raise PluginSelectionError(
            f"{VARIABLE}={text!r}: the built-ins ({BUILTIN_DISTRIBUTION}) cannot be blocked; "
            "name plugins only."
        )
    return Selection(text, without=names)
