"""The measurements: all loops train the same, and take turns; the tables are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import equations, others, processes
from benchmarks.loops import HAND, PERCEPTRAIN, Loop, NotApplicable
from benchmarks.report import BEGIN, END, markdown, write_page, write_parts
from benchmarks.turns import ENDLESS, Feed, Seat, take_turns
from benchmarks.works import Work, classes, helmholtz, oscillator, regression

from ..forked import ForkServer

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Callable[[], Work]] = {
    "labels": lambda: regression(8, steps=3),
    "classes": lambda: classes(16, 8, steps=3),
    "equation": lambda: oscillator(steps=2),
    "boundary": lambda: helmholtz(8, 8, steps=2),
}
LOOPS = {
    **{name: loop for name, loop in (HAND | PERCEPTRAIN).items() if "compile" not in name},
    **others.installed(),
}


def trained(loop: Loop, work: Work) -> Tensor:
    model = loop(work, Feed(work.batches, lambda: None), 3)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("name", [name for name in LOOPS if name != "DeepXDE"])
def test_all_loops_train_the_same(name: str, make: Callable[[], Work]) -> None:
    work = make()
    expected = trained(HAND["by hand"], work)
    assert not torch.equal(expected, torch.cat([p.flatten() for p in work.network().parameters()]))
    try:
        torch.testing.assert_close(trained(LOOPS[name], work), expected, rtol=1e-4, atol=1e-5)
    except NotApplicable:
        assert name == "skorch"
        assert work.residuals


def test_the_further_terms_of_a_loss_are_there() -> None:
    assert [len(oscillator(terms).residuals or {}) for terms in (1, 3, 6)] == [1, 3, 6]


def test_loops_take_turns_and_end() -> None:
    order: list[str] = []

    def run(seat: Seat) -> None:
        for _ in range(ENDLESS):
            order.extend(f"{seat.name}{batch}" for batch in Feed([1, 2], seat.next_turn))

    one, two = take_turns({"a": run, "b": run}, seconds=0, warm_up=1, least=3)
    warm_up, rounds = order[:4], order[4:]
    assert warm_up == ["a1", "a2", "b1", "b2"]
    assert rounds == [
        "a1", "a2", "b1", "b2", "b1", "b2", "a1", "a2", "a1", "a2", "b1", "b2",
    ]  # fmt: skip
    assert len(one.seconds) == len(two.seconds) == 3
    assert one.is_over
    assert one.error is None


def test_a_loop_that_fails_leaves_the_others_alone() -> None:
    def fails(seat: Seat) -> None:
        seat.next_turn()
        raise ValueError("no")

    def works(seat: Seat) -> None:
        while True:
            seat.next_turn()

    broken, good = take_turns({"a": fails, "b": works}, seconds=0)
    assert str(broken.error) == "no"
    assert len(good.seconds) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", equations.works())
def test_equations_of_plugins(name: str) -> None:
    work = equations.works()[name]()
    expected = trained(equations.LOOPS["by hand"], work)
    assert not torch.equal(expected, torch.cat([p.flatten() for p in work.network().parameters()]))
    found = trained(equations.LOOPS["Perceptrain"], work)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_table_of_equations() -> None:
    row = {"us": 1234.5, "ratio": [0.1, 0.2, 0.3]}
    rows = {"by hand": {"us": 1234.5, "ratio": [1, 1, 1]}, "Perceptrain": row}
    machine = dict.fromkeys(("date", "processor", "system", "threads", "versions"), "1")
    text = markdown(
        {
            "machine": {**machine, "load": 0, "cores": 2},
            "equations": {"heat": {"title": "PINN", "rows": rows}},
        }
    )
    assert "| heat | PINN | 1,234 | 0.20 (0.10 to 0.30) |" in text


def test_a_page_keeps_what_is_around_its_figures(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        write_page(page, "new")
        assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="has no lines"):
        write_page(page, "new")


@pytest.mark.slow
def test_the_command_writes_the_tables_and_the_picture(tmp_path: Path, forks: ForkServer) -> None:
    what = ["--quick", "--works=A", "--parts=works", "--seconds=0", "--no-compile", "--no-others"]
    done = forks.run("-m", "benchmarks", *what, "--json", f"--docs={tmp_path}", cwd=ROOT)
    done.check_returncode()
    rows = json.loads(done.stdout)["works"]["A"]["rows"]
    assert rows["by hand"]["ratio"] == [1, 1, 1]
    low, middle, high = rows["Perceptrain"]["ratio"]
    assert 0.1 < low <= middle <= high
    page = (tmp_path / "benchmarks.md").read_text()
    assert f"| Perceptrain | {middle:.2f} ({low:.2f} to {high:.2f}) |" in page
    assert "1 thread in float32" in page
    assert f"torch {torch.__version__}" in page
    assert "<svg" in (tmp_path / "pictures" / "benchmarks.svg").read_text()


def test_the_page_of_the_docs_has_a_place_for_the_figures(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text((ROOT / "docs" / "benchmarks.md").read_text())
    write_page(page, "figures")
    assert page.read_text().count("figures\n\n" + END) == 1


@pytest.mark.slow
def test_two_processes_are_measured(forked_workers: None) -> None:
    (row,) = processes.measure(0.0, (16,))
    assert row["title"] == "64-16-16-10, batch 128, cross_entropy"
    assert row["us"] > 0
    assert len(row["ratio"]) == 3


def test_the_section_of_a_part_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    before, after = f"Text\n\n{BEGIN}\n\n### Growth\n\n1\n\n", f"### Memory\n\n2\n\n{END}\nRest\n"
    page.write_text(before + after)
    figures = {"listing": {"first": 1.0}}
    write_parts(page, figures)
    section = "### `perceptrain list-losses`, beside a minimal typer program\n\n"
    table = "|  | milliseconds |\n| --- | --- |\n| first | {} |\n\n"
    new = section + table
    assert page.read_text() == before + after.replace(END, new.format(1) + END)
    page.write_text(before + new.format(1) + after)
    write_parts(page, {"listing": {"first": 2.0}})
    assert page.read_text() == before + new.format(2) + after
