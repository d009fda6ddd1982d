"""What `symgen doctor` looks at: what is installed, whether it works here, and whether the project is in order."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from symgen import __version__, build, build_pool, config, resources
from symgen.config import Config
from symgen.files import UserError

REQUIRED = ("numpy", "numba", "sympy", "python-flint", "jinja2", "cyclopts", "rich")
OPTIONAL = {"ml_dtypes": "bfloat16 arrays: pip install ml_dtypes"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``status`` is "ok", "note" (a feature is missing) or "wrong"."""

    topic: str
    status: str
    detail: str
    hint: str = ""


def examine() -> list[Finding]:
    """Look at everything, in the order of a report."""
    return [
        Finding("symgen", "ok", f"{__version__} at {resources.PACKAGE}"),
        _python(),
        *(_package(name) for name in REQUIRED),
        *(_optional(name, hint) for name, hint in OPTIONAL.items()),
        Finding("processors", "ok", str(build_pool.cores())),
        _threads(),
        _latex(),
        _cache(),
        *_project(),
    ]


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()} ({platform.machine()}, {platform.system()})")


def _threads() -> Finding:
    from symgen.runtime import get_num_threads

    return Finding("threads", "ok", f"{get_num_threads()} for large arrays; SYMGEN_NUM_THREADS sets another number")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _package(name: str) -> Finding:
    found = _installed(name)
    if found is None:
        return Finding(name, "wrong", "not installed", f"pip install {name}")
    return Finding(name, "ok", found)


def _optional(name: str, hint: str) -> Finding:
    found = _installed(name)
    return Finding(name, "note", "not installed", hint) if found is None else Finding(name, "ok", found)


def _latex() -> Finding:
    place = shutil.which("latexmk")
    if place is None:
        packages = "texlive-latex-recommended texlive-pictures texlive-fonts-recommended lmodern latexmk"
        hint = f"on Debian: apt install {packages}"
        return Finding("latexmk", "note", "not found: `symgen sheet` writes .tex only", hint)
    return Finding("latexmk", "ok", place)


def _cache() -> Finding:
    """Where Numba keeps compiled kernels: beside them, or in a folder that NUMBA_CACHE_DIR names."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else resources.generated()
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Finding("kernel cache", "ok", str(folder))
    except OSError:
        hint = "Numba will cache in the user's cache folder"
        return Finding("kernel cache", "note", f"{folder} cannot be written", hint)


def _project() -> list[Finding]:
    try:
        project = config.load()
    except UserError as error:
        return [Finding("project", "wrong", str(error))]
    if project is None:
        return [Finding("project", "note", "none here", "`symgen init` makes this folder one")]
    looks: tuple[tuple[str, Callable[[Config], str]], ...] = (("project", _place), ("kernels", _kernels))
    findings = []
    for topic, look in looks:
        try:
            findings.append(Finding(topic, "ok", look(project)))
        except UserError as error:
            what, _, hint = str(error).partition("\n  hint: ")
            findings.append(Finding(topic, "wrong", what, hint))
    return findings


def _place(project: Config) -> str:
    return f"{project.root} ({project.package}, runtime {project.runtime})"


def _kernels(project: Config) -> str:
    todo = build.plan(project)
    if not todo.nothing_to_do:
        stale = f"{len(todo.stale)} of {len(todo.targets)} functions are out of date"
        raise UserError(f"{stale}\n  hint: run `symgen build`")
    return f"{len(todo.targets)} functions, up to date"
