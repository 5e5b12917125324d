from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from perceptrain_core.errors import DataError
from perceptrain_core.reports.page import write_report

from .conftest import METRICS, TABLES

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"


class Elements(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def report(*folders, path=None):
    return write_report(folders, path).read_text(encoding="utf-8")


def test_the_page_of_a_run(make_run):
    folder = make_run(test={"test_loss": 0.4375})
    page = report(folder)
    assert (folder / "report.html").read_text(encoding="utf-8") == page == report(folder)
    for text in (
        "0.4375",
        "4 of 4 epochs",
        "perceptrain-core/cross_entropy",
        "2.13.0",
        "[13, 32, 3]",
    ):
        assert text in page
    assert page.count('class="plot"') == 2
    assert len(page) < 60_000


def test_nothing_is_loaded(make_run):
    for tag, attributes in Elements(report(make_run())).found:
        assert tag not in {"iframe", "object", "embed", "base", "form", "img"}
        assert not {"src", "srcset", "onerror", "onload", "onclick"} & set(attributes)
        assert attributes.get("href", "data:,") == "data:,"
        assert tag != "link" or attributes["rel"] == "icon"


def test_names_of_a_stranger_are_only_text(make_run):
    """The structure of the page is that of a page with harmless names."""

    def page(evil, name):
        tables = TABLES | {"loss": {"name": evil, evil: [evil, {"x": evil}]}, "zz": {evil: evil}}
        tables["provenance"] = {evil: {"name": evil, "version": evil}, "versions": {evil: evil}}
        quoted = '"' + evil.replace('"', '""') + '"'
        metrics = METRICS.replace("val_accuracy", quoted).replace(
            "train_accuracy", f'"train_{quoted[1:]}'
        )
        predictions = f"truth,prediction\n{quoted},{quoted}\nb,{quoted}\n"
        run = make_run(name, metrics, tables, {f"test_{evil}": 1.0}, predictions__csv=predictions)
        return report(run), report(run, make_run(f"{name}2"), path=run / "two.html")

    for evil, plain in zip(page(EVIL, "<b>&evil"), page("plain", "plain"), strict=True):
        found, wanted = Elements(evil).found, Elements(plain).found
        assert [tag for tag, _ in found] == [tag for tag, _ in wanted]
        assert [set(names) for _, names in found] == [set(names) for _, names in wanted]
        assert "<b>&evil" not in evil
        assert "{{7*7}}" in evil
        for data in re.findall(r'<script type="application/json">(.*?)</script>', evil, re.DOTALL):
            json.loads(data)


def test_a_folder_whose_name_is_not_text(make_run):
    assert "caf" in report(make_run("caf\udce9"))


def test_twenty_thousand_epochs_stay_small(make_run):
    lines = (f"{i},{1 / i},{2 / i}\n" for i in range(1, 20_001))
    page = report(make_run(metrics="epoch,train_loss,val_loss\n" + "".join(lines)))
    assert len(page) < 200_000


def test_many_runs_stay_small(make_run):
    metrics = "epoch,train_loss\n" + "".join(f"{i},{1 / i}\n" for i in range(1, 2001))
    folders = [make_run(f"run{i}", metrics) for i in range(12)]
    assert len(report(*folders, path=folders[0] / "all.html")) < 400_000


@pytest.mark.parametrize(
    "metrics",
    [
        "epoch,train_loss\n1,2\n",
        "epoch,train_loss,val_loss\n1,nan,inf\n2,nan,-inf\n",
        "epoch,train_loss\n1,1e300\n2,-1e308\n3,1e308\n",
        "epoch,train_loss\n1,0\n2,5e-324\n",
        "epoch\n1\n",
        "",
        None,
    ],
)
def test_unusual_metrics_have_a_page(make_run, metrics):
    page = report(make_run(metrics=metrics))
    assert "NaN" not in "".join(re.findall(r'(?: d|style)="[^"]*"', page))
    for data in re.findall(r'<script type="application/json">(.*?)</script>', page):
        json.loads(data, parse_constant=pytest.fail)


def test_a_run_file_of_a_stranger(make_run):
    tables = {"train": 3, "provenance": {"versions": {"x": [1]}, "loss": 5}, "data": [{"a": {}}]}
    assert "versions" in report(make_run(tables=tables))


def test_several_runs_are_compared(make_run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    page = report(make_run("one"), make_run("two", tables=TABLES | {"optimizer": {"name": "sgd"}}))
    assert (tmp_path / "report.html").is_file()
    assert "Comparison of 2 runs" in page
    assert "optimizer.name" in page


def test_a_page_that_cannot_be_written(make_run, tmp_path):
    with pytest.raises(DataError, match=r"cannot be written to .*none/x.html: No such file"):
        write_report([make_run()], tmp_path / "none" / "x.html")


def test_neither_torch_nor_code_of_the_run_is_imported(make_run, tmp_path):
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    trap = {"name": f"{tmp_path / 'trap.py'}:x"}
    folder = make_run(tables=TABLES | {"loss": trap, "data": trap, "model": trap})
    code = (
        "import sys; from pathlib import Path; from perceptrain_core.cli.main import app\n"
        "try: app(['report', sys.argv[1]])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert not {'torch', 'numpy', 'trap'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("files", "heading"),
    [
        ({"test": {"test_loss": 0.5}, "val__json": "{}"}, "Predictions for the test rows"),
        ({"val__json": '{"val_loss": 0.5}'}, "Predictions for the validation rows"),
        ({}, "Predictions"),
    ],
)
def test_predictions_say_which_rows_they_are_of(make_run, files, heading):
    table = "truth,prediction\na,a\nb,a\n"
    assert f"<h2>{heading}</h2>" in report(make_run(predictions__csv=table, **files))
    largest = "truth,prediction\n" + 10_000 * "a,b\n"
    page = report(make_run("large", predictions__csv=largest, **files))
    assert f"<h2>{heading.replace('the', 'the first 10,000')}</h2>" in page
