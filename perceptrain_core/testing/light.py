"""Is a plugin light? Listing names loads all plugins, and must not wait for torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

from perceptrain_core.registry.plugins import HEAVY
from perceptrain_core.registry.selection import VARIABLE
from perceptrain_core.testing.checks import Check

_NAME = "imports lightly"
_MOST_MODULES = 300  # a library of this size takes longer to import than the whole listing

# What any listing imports comes first; then the plugin, and its hooks, which may import too.
_PROBE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
variable, distribution = sys.argv[2:]
from perceptrain_core.registry import Registry, discovery
before = set(sys.modules)
plugins = Registry(environ={variable: distribution}).plugins
ms = sum(p.import_ms for p in plugins if p.distribution == distribution)
print()
print(json.dumps([ms, sorted(set(sys.modules) - before)]))
"""


def check_light(distribution: str) -> Check:
    """Check, in a process of its own, that loading a plugin imports no heavy library.

    Args:
        distribution: The normalised name of an installed plugin.

    Returns:
        What was found.
    """
    command = [sys.executable, "-c", _PROBE, json.dumps(sys.path), VARIABLE, distribution]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Check(_NAME, (f"a process that loads it ended with: {reason}",))
    milliseconds, modules = json.loads(done.stdout.splitlines()[-1])
    heavy = sorted({module.partition(".")[0] for module in modules} & HEAVY)
    if heavy or len(modules) > _MOST_MODULES:
        packages = heavy or _largest(modules)
        fault = (
            f"it imports {', '.join(packages)} ({milliseconds:.0f} ms, {len(modules)} modules): "
            "name targets as 'package.module:attribute' and import these libraries there"
        )
        return Check(_NAME, (fault,))
    return Check(_NAME, detail=f"{milliseconds:.1f} ms, modules imported: {len(modules)}")


def _largest(modules: list[str]) -> list[str]:
    """The packages with the most modules."""
    counts = Counter(module.partition(".")[0] for module in modules)
    return [package for package, _ in counts.most_common(3)]
