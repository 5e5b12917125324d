"""Listing is quick; wide margins, as tests run beside others. The benchmark has the figures."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "listing.py"


@pytest.mark.skipif(not BENCHMARK.exists(), reason="benchmarks are only in a checkout")
def test_listing_costs_little_more_than_typer_and_300_plugins_less_than_twice():
    measured = runpy.run_path(str(BENCHMARK))["measure"](turns=7)
    bare, listing, more, plugins = measured.values()
    assert listing < 2.5 * bare
    assert more < 2 * listing
    assert plugins < 2.5 * listing
