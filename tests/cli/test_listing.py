from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
from types import SimpleNamespace

import pytest

from perceptrain_core.registry import KINDS, registry

from .conftest import COMMAND, HEAD, invoke, losses

GOOD = losses("Spec('dice', 'good_losses:dice', 'Overlap of masks.')")
LONG = "word " * 60 + "end"
CALLABLE = "def dice(batch, model): ...\n"


def names(stdout: str) -> list[str]:
    return [line.split()[0] for line in stdout.splitlines()[1:]]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_listing_of_its_names(kind):
    expected = list(registry().catalogue(kind.plural))
    result = invoke(f"list-{kind.plural}")
    assert result.exit_code == 0
    assert names(result.stdout) == expected
    assert [row["name"] for row in json.loads(invoke(f"list-{kind.plural}", "--json").stdout)] == (
        expected
    )


def test_columns_are_aligned_and_never_cut_when_piped(site):
    site.plugin("acme-losses", losses(f"Spec('a_rather_long_name', 'x:y', {LONG!r})"), "12.0.1")
    done = site.run("list-losses", COLUMNS="40")
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    at = lines[0].index("FROM"), lines[0].index("SUMMARY")
    assert lines[0].split() == ["NAME", "FROM", "SUMMARY"]
    assert lines[1].split() == ["a_rather_long_name", "acme-losses", "12.0.1", *LONG.split()]
    for line in lines[1:]:
        assert line[at[0] - 2 : at[0]] == line[at[1] - 2 : at[1]] == "  "
        assert " " not in (line[at[0]], line[at[1]])
        assert line == line.rstrip()


def test_json_has_every_fact():
    row = json.loads(invoke("list-losses", "mse", "--json").stdout)[0]
    assert row == {
        "name": "mse",
        "qualified_name": "perceptrain-core/mse",
        "summary": registry().losses["mse"].summary,
        "distribution": "perceptrain-core",
        "version": registry().losses["mse"].version,
        "target": "perceptrain_core.losses.mse:mse_loss",
    }


def test_what_a_plugin_prints_does_not_get_into_the_json(site):
    loud = HEAD + (
        "print('loaded!')\ndef odd(batch, model): ...\nclass Odd:\n    def __call__(self): ...\n"
        "@hookimpl\ndef perceptrain_losses():\n"
        "    print('asked!')\n    return [Spec('odd', odd), Spec('odder', Odd())]\n"
    )
    site.plugin("loud", loud)
    done = site.run("list-losses", "odd*", "--json")
    assert [row["target"] for row in json.loads(done.stdout)] == ["loud:odd", "loud:Odd"]
    assert done.stderr == "loaded!\nasked!\n"


def test_a_broken_plugin_is_one_line_and_the_others_are_listed(site):
    site.plugin("good", GOOD)
    site.plugin("broken-one", "import no_such_module\n", "2.0")
    site.plugin("blocked-one", "import no_such_module\n")
    done = site.run("list-losses", PERCEPTRAIN_PLUGINS="-blocked_one")
    assert done.returncode == 0
    assert {"dice", "good/dice"} & {*names(done.stdout)}  # another plugin may have one, too
    assert done.stderr == (
        "Warning: The plugin broken-one 2.0 failed: "
        "ModuleNotFoundError: No module named 'no_such_module' (broken_one.py, line 1): "
        "install the package that contains 'no_such_module'\n"
    )


def test_every_name_is_one_that_get_loss_takes(site):
    (site.root / "good_losses.py").write_text(CALLABLE)
    for name in ("good", "other"):
        site.plugin(name, GOOD)
    site.plugin("third", losses("Spec('mse', 'good_losses:dice')"))
    listed = names(site.run("list-losses").stdout)
    assert {"good/dice", "other/dice", "mse", "third/mse"} <= set(listed)
    assert "dice" not in listed
    takes = "import sys, perceptrain\nfor n in sys.argv[1:]: perceptrain.get_loss(n)\nprint('all')"
    plain = [name for name in listed if name != "grad_weighted"]  # which needs an option
    assert site.forked(takes, *plain) == "all\n"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("smooth*", ["smooth_l1"]),
        ("*L1", ["l1", "smooth_l1"]),
        ("?se", ["mse"]),
        ("l1", ["l1", "smooth_l1"]),
        ("MSE", ["mse"]),
        ("perceptrain-core/h*", ["huber"]),
        ("core/huber", ["huber"]),
        ("Pinball", ["quantile"]),
        ("[hq]u*", ["huber", "quantile"]),
    ],
)
def test_patterns(pattern, expected):
    assert names(invoke("list-losses", pattern).stdout) == expected


def test_a_pattern_that_matches_nothing_fails_with_a_hint():
    result = invoke("list-losses", "hubert")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("No loss matches 'hubert'. Did you mean 'huber'? ")
    result = invoke("list-losses", "zzz*", "--json")
    assert (result.exit_code, result.stdout) == (1, "[]\n")


def test_a_kind_without_names(monkeypatch):
    empty = SimpleNamespace(plugins=(), catalogue=lambda kind: {})
    monkeypatch.setattr("perceptrain_core.registry.registry", lambda: empty)
    result = invoke("list-weightings")
    assert result.exit_code == 0
    assert (result.stdout, result.stderr) == ("", "No weightings are installed.\n")


def test_a_reader_that_stops_reading_is_no_error(site):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run(
            [*COMMAND, "list-losses"],
            env=site.environ(),
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.stderr == b""


def test_a_summary_that_the_encoding_cannot_show_is_listed_all_the_same(site):
    site.plugin("good", losses("Spec('dice', 'x:y', 'Überlappung')"))
    done = site.run_fresh("list-losses", "dice", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "?berlappung" in done.stdout


def in_terminal(columns: int, *args: str, **variables: str) -> list[str]:
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | variables
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([*COMMAND, *args], stdout=theirs, env=env) as process:
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 4096):
                written += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
    assert process.returncode == 0
    return written.decode().splitlines()


def test_a_terminal_gets_summaries_wrapped_under_each_other():
    lines = in_terminal(80, "list-losses", "huber")
    at = lines[0].index("SUMMARY")
    assert all(len(line) <= 80 for line in lines)
    assert all(line[at - 2 : at] == "  " and line[at] != " " for line in lines)
    assert " ".join(line[at:] for line in lines[1:]) == registry().losses["huber"].summary


def test_in_a_narrow_terminal_the_last_column_comes_below_the_others():
    lines = in_terminal(40, "list-losses", "huber")
    assert all(len(line) <= 40 for line in lines)
    assert lines[1] == "    SUMMARY"
    below = [line.removeprefix("    ") for line in lines[3:]]
    assert " ".join(below) == registry().losses["huber"].summary


@pytest.mark.slow
def test_from_shows_the_names_of_one_distribution(site):
    site.plugin("acme-losses", losses("Spec('dice', 'x:y')", "Spec('focal', 'x:z')"))
    site.plugin("other", losses("Spec('tversky', 'x:y')"))
    assert names(site.run("list-losses", "--from", "Acme_Losses").stdout) == ["dice", "focal"]
    assert names(site.run("list-losses", "foc", "--from", "acme-losses").stdout) == ["focal"]
    nothing = site.run("list-losses", "tversky", "--from", "acme-losses")
    assert (nothing.returncode, nothing.stderr) == (
        1,
        "No loss of acme-losses matches 'tversky'. 'perceptrain list-losses --from acme-losses' "
        "lists all 2.\n",
    )
    nothing = site.run("list-models", "--from", "other")
    assert (nothing.returncode, nothing.stderr) == (1, "other offers no models.\n")
    unknown = site.run("list-losses", "--from", "acme-loss")
    assert unknown.returncode == 2
    assert "Did you mean 'acme-losses'? Installed plugins: acme-losses, other, p" in unknown.stderr
