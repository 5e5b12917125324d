from __future__ import annotations

import inspect
import os
import pickle
import sys

import pytest

from perceptrain_core.errors import TargetError
from perceptrain_core.registry import Registry
from perceptrain_core.registry.references import load_reference

SOURCE = "def fancy(batch, model, *, scale=1):\n    return scale\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a file of losses, which is not on the path of modules."""
    (tmp_path / "my_losses.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_modules_and_dotted_attributes():
    assert load_reference("math:sqrt") is __import__("math").sqrt
    assert load_reference("os.path:join") is os.path.join
    assert (
        load_reference("collections:OrderedDict.fromkeys")
        == __import__("collections").OrderedDict.fromkeys
    )


@pytest.mark.parametrize("form", ["./my_losses.py", "my_losses.py", "{}/my_losses.py"])
def test_files(folder, form):
    fancy = load_reference(f"{form.format(folder)}:fancy")
    assert fancy(0, 0) == 1
    assert inspect.getsource(fancy) == SOURCE
    assert pickle.loads(pickle.dumps(fancy)) is fancy


def test_a_base_folder(folder, monkeypatch):
    monkeypatch.chdir("/")
    assert load_reference("./my_losses.py:fancy", folder)(0, 0) == 1
    assert load_reference("./my_losses.py:fancy", str(folder))(0, 0) == 1
    registry = Registry(path=[], environ={})
    assert registry.get("loss", "./my_losses.py:fancy", base=folder, scale=2)(0, 0) == 2


def test_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert load_reference("~/my_losses.py:fancy", "/")(0, 0) == 1


def test_a_file_is_run_once_until_it_changes(folder):
    first = load_reference("./my_losses.py:fancy")
    assert load_reference(f"{folder}/my_losses.py:fancy") is first
    # The same length within the same second: bytecode by seconds and size would be stale.
    (folder / "my_losses.py").write_text(SOURCE.replace("scale=1", "scale=7"))
    os.utime(folder / "my_losses.py", ns=(1, 10**18 + 1))
    assert load_reference("./my_losses.py:fancy")(0, 0) == 7
    assert not (folder / "__pycache__").exists()


def test_two_files_of_one_name_are_two_modules(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "my_losses.py").write_text(SOURCE.replace("scale=1", "scale=2"))
    first, second = (load_reference(f"./{d}my_losses.py:fancy") for d in ("", "sub/"))
    assert first.__module__ != second.__module__
    assert (first(0, 0), second(0, 0)) == (1, 2)


def test_a_file_that_fails_is_not_kept(folder):
    (folder / "bad.py").write_text("import no_such_thing\n")
    before = set(sys.modules)
    with pytest.raises(TargetError, match=r"cannot be imported: ModuleNotFoundError") as caught:
        load_reference("./bad.py:x")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert set(sys.modules) == before


def test_a_file_that_breaks_leaves_the_module_from_before(folder):
    fancy = load_reference("./my_losses.py:fancy")
    (folder / "my_losses.py").write_text("1/0\n")
    with pytest.raises(TargetError, match="ZeroDivisionError"):
        load_reference("./my_losses.py:fancy")
    assert sys.modules[fancy.__module__].fancy is fancy


def test_nothing_in_the_working_directory_runs_unless_it_is_named(folder, monkeypatch):
    monkeypatch.setattr("sys.path", [p for p in sys.path if p not in ("", str(folder))])
    (folder / "my_losses.py").write_text("raise SystemExit('run')")
    with pytest.raises(
        TargetError,
        match=r"there is no module 'my_losses'.* For the file my_losses.py, "
        r"write './my_losses.py:fancy'\.",
    ):
        load_reference("my_losses:fancy")


@pytest.mark.parametrize("reference", [":", ":x", "math:", "a b:c", "math:sq-rt", "math:a..b"])
def test_malformed_references(reference):
    with pytest.raises(TargetError, match=r"is not a reference|expected the name of a module"):
        load_reference(reference)


def test_a_missing_file_says_where_it_was_looked_for(folder):
    with pytest.raises(TargetError, match=f"'./no.py:x': the file {folder}/no.py does not exist"):
        load_reference("./no.py:x")


@pytest.mark.parametrize("name", ["no_such_module", "no_such.sub", "os.path.no_such"])
def test_a_missing_module(name):
    with pytest.raises(
        TargetError, match=r"there is no module '(no_such|os\.path\.no_such)"
    ) as caught:
        load_reference(f"{name}:x")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "\nimport no_such.thing",
            r"ModuleNotFoundError: No module named 'no_such' \(inside.py, line 2\): install the "
            "package that contains 'no_such'$",
        ),
        ("import json\njson.loads('{')", r"JSONDecodeError: .* \(inside.py, line 2\)$"),
        ("from math import no_such_name", "ImportError: cannot import name"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("def (", "SyntaxError"),
        ("raise ModuleNotFoundError('by hand')", "ModuleNotFoundError: by hand"),
    ],
)
def test_an_error_inside_the_module_is_told_apart_and_kept(site, source, reason):
    site.module("inside", source)
    with pytest.raises(TargetError, match=f"'inside:x' cannot be imported: {reason}") as caught:
        load_reference("inside:x")
    assert caught.value.__cause__ is not None


def test_a_missing_attribute_suggests():
    with pytest.raises(TargetError, match=r"math has no attribute 'sqr'. Did you mean .*'sqrt'"):
        load_reference("math:sqr")


def test_an_attribute_that_fails_to_import(site):
    site.module("late", "def __getattr__(name):\n    import no_such_thing\n")
    with pytest.raises(TargetError, match="'late:x' cannot be imported: ModuleNotFoundError"):
        load_reference("late:x")


def test_a_missing_attribute_of_a_file_names_the_file(folder):
    message = r"'\./my_losses\.py:fancie': my_losses\.py has no attribute 'fancie'. Did you mean"
    with pytest.raises(TargetError, match=message):
        load_reference("./my_losses.py:fancie")
    with pytest.raises(TargetError, match=r"^'my_losses.py:fancy.gone': fancy has no attribute"):
        load_reference("my_losses.py:fancy.gone")
