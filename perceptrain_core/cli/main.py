"""The command line: every command is registered here.

Each command is a function in its own module and imports what it needs when it runs, so that
listing losses does not import torch. To add one, import and register it below.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from inspect import cleandoc
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from perceptrain_core.cli import output
from perceptrain_core.cli.check import check_plugin
from perceptrain_core.cli.checkpoint import convert, info
from perceptrain_core.cli.compare import compare
from perceptrain_core.cli.demo import demo
from perceptrain_core.cli.export import export
from perceptrain_core.cli.init import init
from perceptrain_core.cli.listing import listing_of
from perceptrain_core.cli.new_plugin import new_plugin
from perceptrain_core.cli.plot import plot
from perceptrain_core.cli.plugins import plugins
from perceptrain_core.cli.predict import predict
from perceptrain_core.cli.profile import profile
from perceptrain_core.cli.report import report
from perceptrain_core.cli.runs import runs
from perceptrain_core.cli.schema import schema
from perceptrain_core.cli.show import show
from perceptrain_core.cli.summary import summary
from perceptrain_core.cli.test import evaluate
from perceptrain_core.cli.train import train
from perceptrain_core.registry.kinds import KINDS
from perceptrain_core.version import __version__


class _Group(TyperGroup):
    """Reports every error in one or two lines, and with ``--debug`` its traceback."""

    def main(self, *args: Any, **options: Any) -> Any:
        try:
            code = super().main(*args, **options | {"standalone_mode": False})
        except typer.Abort:
            output.note("Aborted.")
            code = output.FAILED
        except Exception as error:
            if not _belongs_to_typer(error):
                raise
            code = output.report_usage(error)
        sys.exit(code)

    def invoke(self, ctx: Any) -> Any:
        try:
            with output.one_line_warnings():
                super().invoke(ctx)
            sys.stdout.flush()  # raise for a closed pipe here, not at exit
        except BrokenPipeError:
            # The reader closed the pipe, as `| head` does: discard the rest.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(output.GOOD) from None
        except Exception as error:
            if _belongs_to_typer(error):
                raise
            raise typer.Exit(output.report(error, debug=ctx.params["debug"])) from None


def _belongs_to_typer(error: Exception) -> bool:
    """Whether an error is a usage error or an exit, which typer handles."""
    return isinstance(error, typer.Abort) or hasattr(error, "exit_code")


app = typer.Typer(
    cls=_Group,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(requested: bool) -> None:
    if requested:
        print(f"perceptrain {__version__}")
        raise typer.Exit


@app.callback()
def perceptrain(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train PyTorch models with any loss, by name."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def _add(
    panel: str, function: Callable[..., None], name: str | None = None, group: typer.Typer = app
) -> None:
    """Register a command with the text of its docstring.

    In that text typer would keep the line breaks of the source, and take ``[data]`` for markup.
    """
    paragraphs = cleandoc(function.__doc__ or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    group.command(name, help=text.replace("[", r"\["), rich_help_panel=panel)(function)


for kind in KINDS:
    _add("Names", listing_of(kind), f"list-{kind.plural}")
_add("Names", show)
for command in (init, schema, train, compare, runs, summary, profile, plot, report, demo):
    _add("Training", command)
_add("Trained runs", predict)
_add("Trained runs", evaluate, "test")
_add("Trained runs", export)
checkpoint = typer.Typer(help="Look into checkpoints, and convert them.")
app.add_typer(checkpoint, name="checkpoint", rich_help_panel="Trained runs")
_add("Commands", info, group=checkpoint)
_add("Commands", convert, group=checkpoint)
_add("Plugins", plugins)
_add("Plugins", check_plugin)
_add("Plugins", new_plugin)


def main() -> None:
    """Run the command line, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal may not support every character
            stream.reconfigure(errors="replace")
    app(prog_name="perceptrain")


if __name__ == "__main__":
    main()
