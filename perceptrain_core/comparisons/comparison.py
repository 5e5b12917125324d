"""Train all variants in a folder, keep what is finished, and average the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeAlias

from perceptrain_core.comparisons.jobs import Job, finished_state, read_state
from perceptrain_core.comparisons.plan import Plan
from perceptrain_core.comparisons.pool import Pool, Reply
from perceptrain_core.comparisons.pruning import Pruning
from perceptrain_core.comparisons.results import Result, Row, make_rows, write_tables

#: Called with each result, and whether an earlier call trained it.
Progress: TypeAlias = Callable[[Result, bool], None]


class Comparison:
    """The runs of a comparison in their folder.

    Args:
        plan: What to train and compare.
        folder: The folder.
        jobs: The number of processes.
        progress: Called with each result.
    """

    def __init__(self, plan: Plan, folder: Path, jobs: int, progress: Progress) -> None:
        self.plan, self.folder = plan, folder
        self._results: dict[str, Result] = {}
        self._pool = Pool(jobs, folder)
        self._progress = progress

    @property
    def results(self) -> list[Result]:
        """The finished and failed runs, by the names of their folders."""
        return [self._results[name] for name in sorted(self._results)]

    @property
    def stop_signal(self) -> int | None:
        """The number of the signal that stopped the runs, or ``None``."""
        return self._pool.stop_signal

    @property
    def rows(self) -> list[Row]:
        """A row for each variant, the best first."""
        return make_rows(self.results, self.plan.by, self.plan.higher)

    def train(self, jobs: Iterable[Job]) -> None:
        """Train the jobs that an earlier call has not finished; keep the results of the others."""
        waiting = self._unfinished(jobs)
        self.run(lambda: next(waiting, None), lambda result: None)

    def run(
        self,
        next_job: Callable[[], Job | None],
        finished: Callable[[Result], None],
        pruning: Pruning | None = None,
    ) -> None:
        """Train what ``next_job`` returns, until it returns nothing and all runs are finished."""

        def keep(job: Job, reply: Reply) -> None:
            finished(self.add(_result(job, reply), False))

        self.folder.mkdir(parents=True, exist_ok=True)
        self._pool.run(next_job, keep, pruning)

    def earlier(self, job: Job) -> Result | None:
        """Return the result of a job that an earlier call finished, or ``None``."""
        state = finished_state(self.folder / job.name, job)
        return None if state is None else self.add(_result(job, state), True)

    def add(self, result: Result, earlier: bool) -> Result:
        """Add a result."""
        if result.job.name not in self._results:
            self._progress(result, earlier)
        self._results[result.job.name] = result
        return result

    def write(self) -> None:
        """Write the tables of the results so far."""
        write_tables(self.folder, self.results, self.rows, self.plan.by, self.plan.higher)

    def _unfinished(self, jobs: Iterable[Job]) -> Iterator[Job]:
        return (job for job in jobs if self.earlier(job) is None)


def _result(job: Job, reply: Reply) -> Result:
    figures, seconds = reply.get("figures", {}), reply.get("seconds", 0.0)
    return Result(job, figures, seconds, reply.get("error", ""), reply.get("pruned", 0))


def choose_folder(root: Path, jobs: Iterable[Job]) -> Path:
    """Return the first of ``root``, ``root-2`` and so on without runs of other settings."""
    jobs = list(jobs)
    folders = (
        root if number == 1 else root.with_name(f"{root.name}-{number}") for number in count(1)
    )
    return next(folder for folder in folders if not any(_differs(folder, job) for job in jobs))


def _differs(folder: Path, job: Job) -> bool:
    place = folder / job.name
    if not place.is_dir() or not any(place.iterdir()):
        return False
    state = read_state(place)
    return state is None or state.get("asked") != job.asked
