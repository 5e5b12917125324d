"""Where and when something was measured."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "perceptrain-core", "torch", "numpy", "accelerate", "lightning", "pytorch-ignite", "skorch",
    "transformers", "deepxde",
)  # fmt: skip


def machine() -> dict[str, str]:
    """Return the processor, its cores, the threads in use, the date and the versions."""
    versions = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "threads": "1",
        "system": f"{platform.system()} {platform.machine()}",
        "date": date.today().isoformat(),
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "nan",
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
