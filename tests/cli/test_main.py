from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from perceptrain_core.cli import listing
from perceptrain_core.registry import KINDS
from perceptrain_core.version import __version__

from .conftest import invoke

LIGHT = """
import sys
from perceptrain_core.cli.main import app
for args in {calls}:
    try:
        app(args)
    except SystemExit as end:
        assert not end.code, (args, end.code)
    heavy = {{"torch", "numpy", "rich"}} & set(sys.modules)
    assert not heavy, (args, heavy)
"""


@pytest.mark.slow
def test_no_listing_imports_torch(site):
    calls = [[f"list-{kind.plural}", *more] for kind in KINDS for more in ([], ["--json"])]
    site.python(LIGHT.format(calls=[["--version"], ["plugins"], *calls]))


def test_help_imports_no_torch(site):
    calls = [["--help"], ["show", "--help"], ["check-plugin", "--help"]]
    site.python(LIGHT.format(calls=calls).replace(', "rich"', ""))


def test_version():
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"perceptrain {__version__}\n")


@pytest.mark.parametrize("args", [(), ("--help",), ("-h",)])
def test_help_names_the_commands(args):
    result = invoke(*args)
    assert result.exit_code == 0
    for command in ("list-losses", "list-datasets", "show", "plugins", "check-plugin"):
        assert command in result.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["list-loses"], "No such command 'list-loses'. Did you mean 'list-losses'"),
        (["list-losses", "--jsn"], "No such option"),
        (["show"], "Missing argument"),
        (["checkpoint"], "Missing command"),
        (["--nope"], "No such option"),
    ],
)
def test_a_wrong_call_is_two_lines_and_exit_code_2(args, message):
    result = invoke(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    first, second = result.stderr.splitlines()
    assert first.startswith(f"Error: {message}")
    assert "--help' for usage" in second


def test_a_wrong_environment_variable_is_a_wrong_call(site):
    done = site.run("list-losses", PERCEPTRAIN_PLUGINS="nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: PERCEPTRAIN_PLUGINS='nope': no plugin 'nope'")


def test_an_unexpected_error_is_two_lines_and_exit_code_1(monkeypatch):
    def fail():
        raise ZeroDivisionError("some\nreason")

    line = fail.__code__.co_firstlineno + 1
    monkeypatch.setattr(listing, "load_registry", fail)
    result = invoke("list-losses")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"Unexpected error (test_main.py, line {line}): ZeroDivisionError: some reason",
        "Run 'perceptrain --debug ...' to see the traceback.",
    ]
    result = invoke("--debug", "list-losses")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("ZeroDivisionError: some\nreason\n")


def test_an_interrupt_ends_without_a_traceback(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(listing, "load_registry", interrupt)
    result = invoke("list-losses")
    assert (result.exit_code, result.stderr) == (130, "")


def test_the_installed_script():
    script = Path(sys.executable).with_name("perceptrain")
    if not script.exists():
        pytest.skip("the console script is not installed beside this interpreter")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"perceptrain {__version__}\n"


@pytest.mark.parametrize("columns", [60, 80])
def test_the_help_is_filled_to_the_width_and_keeps_brackets(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", columns)
    text = invoke("train", "--help").output
    assert "With folds in [data], train a model for each fold" in " ".join(text.split())
    lines = [line.strip() for line in text.splitlines()]
    (start,) = (i for i, line in enumerate(lines) if line.startswith("With train.verbose"))
    following = lines[start + 1].split()[0]
    assert len(f"{lines[start]} {following}") > columns - 2


@pytest.mark.slow
@pytest.mark.parametrize("command", [["list-losses"], ["show", "loss", "mse"], ["plugins"]])
def test_a_warning_is_one_line_without_a_file(site, command):
    folder = site.root / "perceptrain-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: perceptrain\nVersion: 0.1.0\n")
    done = site.run_fresh(*command)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("Warning: Another package, 'perceptrain', is installed beside")
