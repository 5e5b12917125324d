from __future__ import annotations

from .conftest import losses


def test_a_good_plugin_passes(site):
    site.plugin("acme-losses", losses("Spec('dice', 'acme_dice:dice', 'Overlap.')"))
    (site.root / "acme_dice.py").write_text("def dice(batch, model, *, smooth=1.0): ...\n")
    done = site.run("check-plugin", "Acme_Losses")
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["RESULT", "CHECK", "FOUND"]
    assert lines[1].split() == ["passed", "is", "loaded", "dice"]
    assert all(line.startswith("passed  ") for line in lines[1:-2])
    assert lines[-2] == "Acme_Losses: all 6 checks passed."
    assert lines[-1].endswith("in the plugin's folder: pytest --perceptrain-plugin Acme_Losses")


def test_a_bad_one_fails_with_every_fault(site):
    source = losses("Spec('dice', 'nowhere:dice')", "Spec('mse', 'math:sqrt', 'Root.')")
    site.plugin("bad", "import numpy\n" + source)
    done = site.run("check-plugin", "bad")
    assert done.returncode == 1
    assert done.stderr == "bad: 5 of 6 checks failed.\n"
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 5
    assert failed[0].startswith("FAILED  imports lightly ")
    assert " it imports numpy " in failed[0]


def test_an_unknown_one_is_a_wrong_call(site):
    site.plugin("acme-losses", losses("Spec('dice', 'x:y')"))
    done = site.run("check-plugin", "acme-loses")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "Error: No plugin 'acme-loses' is installed. Did you mean 'acme-losses'? "
    )
    assert "Traceback" not in done.stderr
