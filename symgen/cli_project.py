"""`symgen init` and `symgen new`: how a project of the user's own begins."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from symgen import config, scaffold
from symgen.cli import Exit
from symgen.cli_build import NO_PROJECT
from symgen.console import give, say
from symgen.files import UserError


def init() -> int:
    """Make this folder a symgen project: a [tool.symgen] table, a folder of specs, a package for the kernels."""
    root = Path.cwd()
    written = scaffold.init(root)
    for path in written.new:
        give(f"made {_shown(path, root)}")
    for path in written.kept:
        say(f"{_shown(path, root)} has a [tool.symgen] table already")
    say("next: `symgen new swoosh`, then `symgen build`")
    return Exit.OK


def new(name: str, /, *, kind: Literal["activation", "loss"] = "activation") -> int:
    """Write a spec to start from; it builds as it is.

    Args:
        name: The name of the function.
        kind: What the function is.
    """
    project = config.load()
    if project is None:
        raise UserError(NO_PROJECT.replace(", or say --specs FOLDER and --out FOLDER", ""))
    path = scaffold.new(project, name, kind)
    give(f"made {_shown(path, Path.cwd())}")
    say(f"next: edit the formula, then `symgen build`, then `from {project.package} import {name}`")
    return Exit.OK


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
