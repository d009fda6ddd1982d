"""How the command line talks: data to stdout, words for people to stderr, colour and progress on terminals only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Progress(Protocol):
    """Somebody watches a build."""

    def line(self, text: str) -> None:
        """Show one line that stays."""

    def advance(self, doing: str) -> None:
        """One more function is done."""


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def give(text: str) -> None:
    """A line of data, on stdout."""
    print(text, flush=True)


def give_json(value: Any) -> None:
    """One JSON document on stdout."""
    give(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False))


def complain(text: str) -> None:
    """An error for people, on stderr; the word that says so is red on a terminal."""
    _marked("error:", "bold red", text)


def warn(text: str) -> None:
    """A warning for people, on stderr; the word that says so is yellow on a terminal."""
    _marked("warning:", "bold yellow", text)


def _marked(word: str, style: str, text: str) -> None:
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True)
        console.print(word, style=style, end=" ")
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        say(f"{word} {text}")


def table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Columns on stdout: with a heading on a terminal, separated by tabs into a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            give("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        shown.add_column(heading)
    for row in rows:
        shown.add_row(*row)
    Console(highlight=False, markup=False).print(shown)


def code(text: str, language: str) -> None:
    """Source text on stdout, in colour on a terminal."""
    if not sys.stdout.isatty():
        give(text.rstrip("\n"))
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(text.rstrip("\n"), language, background_color="default"))


STYLES = {"heading": "bold", "good": "green", "bad": "bold red", "quiet": "dim"}


def give_styled(lines: Iterable[tuple[str, str]]) -> None:
    """Lines of data, each with a key of `STYLES` or nothing: in colour on a terminal."""
    if not sys.stdout.isatty():
        give("\n".join(text for text, _ in lines))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for text, style in lines:
        console.print(text, style=STYLES.get(style, ""))


class _Plain:
    """Progress where nobody can see a bar move."""

    def __init__(self, *, lines: bool) -> None:
        self.lines = lines

    def line(self, text: str) -> None:
        if self.lines:
            say(text)

    def advance(self, doing: str) -> None:
        """A log wants lines, not motion."""


@contextmanager
def progress(total: int, *, verbose: bool) -> Iterator[Progress]:
    """A bar below the lines of what is done, on a terminal; the lines alone with ``verbose``; else nothing."""
    if total == 0 or not sys.stderr.isatty():
        yield _Plain(lines=verbose)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        class Bar:
            def line(self, text: str) -> None:
                bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

            def advance(self, doing: str) -> None:
                bar.update(task, advance=1, description=doing)

        yield Bar()
