"""The backend of geomloss: dense matrices, or pykeops without them."""

from __future__ import annotations

from importlib.util import find_spec

from perceptrain import check_choice
from perceptrain.errors import ConfigError, MissingDependencyError

_BACKENDS = ("auto", "tensorized", "online", "multiscale")


def choose_backend(backend: object, cost: object = None) -> str:
    """Check the backend against the cost and the installed packages.

    Args:
        backend: "auto", "tensorized", "online" or "multiscale".
        cost: A function of tensors, a pykeops formula, or None.

    Returns:
        The backend to pass to geomloss: "tensorized" instead of "auto" if pykeops is not installed
        or there is a cost.

    Raises:
        ConfigError: The backend is unknown, or does not support the cost.
        MissingDependencyError: The backend needs pykeops, which is not installed.
    """
    check_choice("backend", backend, _BACKENDS)
    name = str(backend)
    if isinstance(cost, str) and name not in ("online", "multiscale"):
        raise ConfigError(
            f"cost={cost!r}, a formula, with backend={name!r}: expected a function of two tensors, "
            'or backend="online".'
        )
    if callable(cost) and name not in ("auto", "tensorized"):
        raise ConfigError(
            f"cost={cost!r}, a function, with backend={name!r}: expected a pykeops formula, "
            'such as "Norm2(X-Y)", or backend="tensorized".'
        )
    installed = find_spec("pykeops") is not None
    if name == "auto":
        return "auto" if installed and cost is None else "tensorized"
    if name != "tensorized" and not installed:
        raise MissingDependencyError(
            f"backend={name!r} needs pykeops: pip install 'perceptrain-distributions[keops]'. "
            'Or use backend="tensorized".'
        )
    return name
