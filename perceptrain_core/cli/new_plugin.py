"""``perceptrain new-plugin NAME``: a plugin to start from, which installs and tests green."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

_PREFIX = "perceptrain-"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

#: Each file of the plugin, by its template; ``$module`` stands for the name of the package.
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "$module/__init__.py": "__init__.py",
    "$module/losses.py": "losses.py",
    "$module/py.typed": None,
    "tests/test_$module.py": "test_plugin.py",
}


def new_plugin(
    name: Annotated[str, typer.Argument(help="Its name, such as robust-losses.")],
    folder: Annotated[
        Path, typer.Option("--dir", help="Where the folder of the plugin is made.")
    ] = Path(),
) -> None:
    """Write a plugin with one loss: install it, run its tests, and go on from there."""
    distribution = _PREFIX + _checked(name)
    root = folder / distribution
    if root.exists() and any(root.iterdir() if root.is_dir() else [root]):
        from perceptrain_core.errors import ConfigError

        raise ConfigError(
            f"{root} exists already; nothing was written. Choose another name, or another folder "
            "with --dir."
        )
    write_plugin(root, distribution)
    print(f"Wrote {root}. To try it:\n")
    print(f'  pip install --editable "{root}[test]"')
    print(f"  pytest {root}")
    print(f"  perceptrain check-plugin {distribution}")


def write_plugin(root: Path, distribution: str) -> None:
    """Write the files of a plugin.

    Args:
        root: Its folder, which is made.
        distribution: The name of the distribution, "perceptrain-robust-losses".
    """
    from importlib.resources import files  # which takes a while, and listings are not to wait

    module = distribution.replace("-", "_")
    words = {"distribution": distribution, "module": module, "name": _loss_name(distribution)}
    templates = files("perceptrain_core.cli") / "plugin_template"
    for target, source in _FILES.items():
        path = root / Template(target).substitute(words)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (templates / f"{source}.template").read_text(encoding="utf-8") if source else ""
        path.write_text(Template(text).substitute(words), encoding="utf-8")


def _checked(name: str) -> str:
    plain = re.sub(r"[._-]+", "-", name.strip().lower()).removeprefix(_PREFIX)
    if _NAME.fullmatch(plain) and plain != "core":
        return plain
    from perceptrain_core.errors import ConfigError

    raise ConfigError(
        f"{name!r} is no name for a plugin; expected letters and digits with single dashes between "
        f"them, such as robust-losses, which becomes {_PREFIX}robust-losses."
    )


def _loss_name(distribution: str) -> str:
    """Name the loss after the plugin, for that is unlikely to be another's."""
    from perceptrain_core.registry import registry

    name = distribution.removeprefix(_PREFIX).replace("-", "_")
    return f"{name}_loss" if name in registry().losses else name
