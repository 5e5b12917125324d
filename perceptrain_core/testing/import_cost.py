"""The check that a plugin imports no heavy library, since every listing loads all plugins."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from perceptrain_core.plurals import counted
from perceptrain_core.registry.plugins import HEAVY
from perceptrain_core.registry.selection import VARIABLE
from perceptrain_core.testing.checks import Check

_NAME = "imports lightly"
_MOST_MS = 1000
_MOST_MODULES = 300  # importing more takes longer than the rest of a listing

# Import what every listing imports, then measure what loading the plugin adds.
_PROBE = """
import contextlib, io, json, logging, os, sys, warnings
sys.path[:] = json.loads(sys.argv[1])
variable, distribution, report = sys.argv[2:]
from perceptrain_core.registry import Registry, discovery


def settings():
    return {
        "the environment": dict(os.environ),
        "sys.path": list(sys.path),
        "the working directory": os.getcwd(),
        "the filters of warnings": list(warnings.filters),
        "the configuration of logging": (logging.root.level, list(logging.root.handlers)),
    }


modules, before, printed = set(sys.modules), settings(), io.StringIO()
with contextlib.redirect_stdout(printed):
    plugins = Registry(environ={variable: distribution}).plugins
found = {
    "ms": sum(p.import_ms for p in plugins if p.distribution == distribution),
    "modules": sorted(set(sys.modules) - modules),
    "changed": [name for name, value in settings().items() if value != before[name]],
    "printed": printed.getvalue(),
}
with open(report, "w") as file:
    json.dump(found, file)
"""


def check_light(distribution: str, environ: Mapping[str, str]) -> Check:
    """Check in a new process that loading a plugin imports no heavy library.

    Args:
        distribution: The normalized name of an installed plugin.
        environ: The environment of the process.

    Returns:
        The result.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        arguments = [json.dumps(sys.path), VARIABLE, distribution, str(report)]
        command = [sys.executable, "-c", _PROBE, *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            return Check(_NAME, (f"a process that loads it ended with: {reason}",))
        found = json.loads(report.read_text(encoding="utf-8"))
    detail = f"{found['ms']:.1f} ms, modules imported: {len(found['modules'])}"
    return Check(_NAME, tuple(_faults(found)), detail)


def _faults(found: dict[str, Any]) -> Iterator[str]:
    modules = found["modules"]
    heavy = sorted({module.partition(".")[0] for module in modules} & HEAVY)
    if heavy or len(modules) > _MOST_MODULES:
        packages = heavy or _largest(modules)
        yield (
            f"it imports {', '.join(packages)} ({found['ms']:.0f} ms, "
            f"{counted(len(modules), 'module')}): name targets as "
            "'package.module:attribute' and import these libraries there"
        )
    elif found["ms"] > _MOST_MS:
        yield f"it takes {found['ms']:.0f} ms to load, and every listing waits for it"
    for name in () if heavy else found["changed"]:  # heavy libraries change these themselves
        yield f"loading it changes {name} for the whole process"
    if found["printed"]:
        yield f"it prints {found['printed'].splitlines()[0]!r} when it is loaded"


def _largest(modules: list[str]) -> list[str]:
    """Return the packages with the most modules."""
    counts = Counter(module.partition(".")[0] for module in modules)
    return [package for package, _ in counts.most_common(3)]
