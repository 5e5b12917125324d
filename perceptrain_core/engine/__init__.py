"""Where training runs: devices and processes."""

from perceptrain_core.engine.accelerator import Accelerator
from perceptrain_core.engine.choice import make_engine
from perceptrain_core.engine.gather_rows import gather_rows
from perceptrain_core.engine.local import LocalEngine
from perceptrain_core.engine.protocol import Engine

__all__ = ["Accelerator", "Engine", "LocalEngine", "gather_rows", "make_engine"]
