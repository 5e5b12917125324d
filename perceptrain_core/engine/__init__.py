"""Where training runs: devices and processes."""

from perceptrain_core.engine.local import LocalEngine
from perceptrain_core.engine.protocol import Engine

__all__ = ["Engine", "LocalEngine"]
