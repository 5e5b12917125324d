"""Compare the run time of ``perceptrain list-losses`` with a minimal typer program.

Each measurement is a whole process. The programs alternate, so that a slow phase of the machine
affects all; the results are medians. The command is also measured with 300 fake distributions that
have a console script each, and with 300 fake plugins that have ten losses each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

BARE = """
import typer

app = typer.Typer()


@app.command()
def hello() -> None:
    print("hello")


app()
"""

PLUGIN = """from perceptrain import Spec, hookimpl


@hookimpl
def perceptrain_losses():
    return [
{specs}    ]
"""


def install(folder: Path, number: int) -> None:
    """Create distributions with one console script each, with the files that pip would install."""
    for i in range(number):
        info = folder / f"fake_{i}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fake-{i}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"fake_{i}.py,,\n")
        (info / "entry_points.txt").write_text(f"[console_scripts]\nfake-{i} = fake_{i}:main\n")


def install_plugins(folder: Path, number: int) -> None:
    """Create plugins with ten losses each, with the files that pip would install."""
    for i in range(number):
        name = f"plugin_{i}"
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plugin-{i}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n")
        (info / "entry_points.txt").write_text(f"[perceptrain]\n{name} = {name}\n")
        specs = "".join(
            f'        Spec("loss_{i}_{k}", "{name}.losses:loss_{k}", "Loss {k} of plugin {i}."),\n'
            for k in range(10)
        )
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(PLUGIN.format(specs=specs))


def seconds(command: list[str], environ: dict[str, str]) -> float:
    start = perf_counter()
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - start


def measure(turns: int, number: int = 300) -> dict[str, float]:
    """Return the median milliseconds by program."""
    # Allow bytecode files, because an installed program has them.
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as root:
        bare, folder, plugins = Path(root, "bare.py"), Path(root, "site"), Path(root, "plugins")
        bare.write_text(BARE)
        install(folder, number)
        install_plugins(plugins, number)
        environ["PERCEPTRAIN_PLUGINS"] = ""
        listing = [sys.executable, "-m", "perceptrain_core.cli.main", "list-losses"]
        programs = {
            "bare typer": ([sys.executable, str(bare)], environ),
            "list-losses": (listing, environ),
            f"{number} more installed": (listing, environ | {"PYTHONPATH": str(folder)}),
            f"{number} plugins": (
                listing,
                {k: v for k, v in environ.items() if k != "PERCEPTRAIN_PLUGINS"}
                | {"PYTHONPATH": str(plugins)},
            ),
        }
        times: dict[str, list[float]] = {name: [] for name in programs}
        for turn in range(turns + 1):
            for name, program in programs.items():
                elapsed = seconds(*program)
                if turn:  # the first turn fills the caches
                    times[name].append(elapsed)
    return {name: 1e3 * median(values) for name, values in times.items()}


def is_slow(figures: dict[str, float]) -> bool:
    """Whether a listing has become slow; with wide margins, as other programs may run beside."""
    bare, listing, more, plugins = figures.values()
    return listing >= 2.5 * bare or more >= 2 * listing or plugins >= 2.5 * listing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=21)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    figures = measure(options.turns)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    bare, listing, more, plugins = figures.values()
    beside = {
        "bare typer": "",
        "list-losses": f"{listing / bare:.2f} times a bare typer program (at most 1.5)",
        "300 more installed": f"{more - listing:+.0f} ms for 300 distributions (less than 50)",
        "300 plugins": f"{plugins / listing:.2f} times an empty environment (less than 2)",
    }
    for name, milliseconds in figures.items():
        print(f"{name:<20}{milliseconds:6.0f} ms   {beside[name]}".rstrip())
    if is_slow(figures):
        sys.exit("Listing has become slow.")


if __name__ == "__main__":
    main()
