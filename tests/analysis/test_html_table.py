"""Tables of notebooks, read back by another parser."""

from __future__ import annotations

from html.parser import HTMLParser

from perceptrain_core.analysis.history import History
from perceptrain_core.analysis.html_table import html_table


class _Table(HTMLParser):
    """The texts of the cells of each row; every tag has to be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("th", "td"):
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_column_for_each_name_and_gaps_for_missing_figures() -> None:
    rows = History([{"train_loss": 2.0}, {"train_loss": 1e-9 / 3, "val_loss": float("nan")}])
    assert _Table(rows._repr_html_()).rows == [
        ["epoch", "train_loss", "val_loss"],
        ["1", "2", ""],
        ["2", "3.33333e-10", "nan"],
    ]


def test_names_are_escaped() -> None:
    html = html_table([{'<b>&"': 1.0}], "epoch")
    assert "<b>" not in html
    assert _Table(html).rows[0] == ["epoch", '<b>&"']


def test_of_a_long_table_both_ends_are_shown() -> None:
    def shown(number: int) -> list[str]:
        rows = [{"loss": float(i)} for i in range(1, number + 1)]
        return [row[0] for row in _Table(html_table(rows, "epoch")).rows[1:]]

    assert shown(20) == [str(i) for i in range(1, 21)]
    assert shown(300) == [*"12345", "…", *(str(i) for i in range(296, 301))]


def test_a_table_of_nothing() -> None:
    assert _Table(History()._repr_html_()).rows == [["epoch"]]
