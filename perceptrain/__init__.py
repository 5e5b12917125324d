"""Train PyTorch models with the right loss.

One contract for losses, one trainer, and a name for every loss that any installed package offers.
Importing this module does not import torch: each name is imported when it is first used.

The public names and where each is defined are listed once, in ``__init__.pyi``. Type checkers and
editors read that file, and so does this module.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any


def _read_stub() -> dict[str, str]:
    """Return the module of each name that the stub imports; ``"."`` for a submodule."""
    stub = __spec__.loader.get_data(f"{__path__[0]}/__init__.pyi").decode()
    lines = re.findall(r"^from (\S+) import (\w+) as \w+$", stub.replace("\r", ""), re.MULTILINE)
    return {name: home for home, name in lines}


_HOMES = _read_stub()

#: Names that need an extra are left to those who ask for them, so that ``import *`` works.
_OPTIONAL = "perceptrain_core.estimators."

__all__ = sorted(
    (name for name, home in _HOMES.items() if home != "." and not home.startswith(_OPTIONAL)),
    key=str.lower,
)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if home == ".":
        return import_module(f"{__name__}.{name}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
