"""`symgen build`, `check` and `clean`: the driver's words for people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from symgen import build as driver
from symgen import build_check, config, files
from symgen.build_compile import Compiled, Failure
from symgen.cli import Exit
from symgen.config import Config
from symgen.console import Progress, complain, give, give_json, progress, say, warn
from symgen.files import UserError
from symgen.missed import warning

Folders = Annotated[list[Path] | None, Parameter(negative=(), consume_multiple=False)]
_Stamps = dict[Path, tuple[int, int]]  # of each spec: when it was modified, and its size
Names = Annotated[list[str] | None, Parameter(negative=(), show_default=False)]
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Verbose = Annotated[bool, Parameter(alias="-v", negative=(), show_default=False)]
Jobs = Annotated[int | None, Parameter(alias="-j")]

NO_PROJECT = (
    "this folder is not a symgen project: there is no pyproject.toml with a [tool.symgen] table here or above\n"
    "  hint: run `symgen init`, or say --specs FOLDER and --out FOLDER"
)


def build(
    names: Names = None,
    /,
    *,
    specs: Folders = None,
    out: Path | None = None,
    package: str | None = None,
    jobs: Jobs = None,
    watch: Flag = False,
    dry_run: Flag = False,
    force: Flag = False,
    strict: Flag = False,
    verbose: Verbose = False,
) -> int:
    """Derive and write the kernels whose specs have changed.

    Args:
        names: Functions to build; all if none is named.
        specs: Folder of specs, instead of what pyproject.toml says; may be given several times.
        out: Folder to write to, instead of what pyproject.toml says.
        package: The name under which that folder is imported.
        jobs: How many processes derive at once; one for each core if not said.
        watch: Stay, and build again whenever a spec changes.
        dry_run: Say what would be built and deleted, and do nothing.
        force: Build everything, and replace files that symgen did not write.
        strict: Write nothing, and fail with exit code 1, if a function misses its accuracy bar; otherwise it is built
            with a warning.
        verbose: One line for each function, as on a terminal.
    """
    project = _project(specs or [], out, package, jobs)
    if dry_run:
        return _dry_run(driver.plan(project, names or (), force=force))
    before = _stamps(project)
    code = build_and_tell(project, names or (), force=force, strict=strict, verbose=verbose)
    return _watch(project, before, names or (), strict=strict, verbose=verbose) if watch else code


def check(
    *,
    fast: Flag = False,
    jobs: Jobs = None,
    verbose: Verbose = False,
    json: Flag = False,
) -> int:
    """Compare the generated files with what the specs say: exit code 1, and a diff, if they differ.

    Args:
        fast: Compare hashes only, without deriving anything.
        jobs: How many processes derive at once; one for each core if not said.
        verbose: One line for each function, as on a terminal.
        json: One JSON document instead of diffs.
    """
    project = _project([], None, None, jobs)
    started = time.perf_counter()
    if fast:
        verdict = build_check.check_fast(project)
    else:
        with progress(len(driver.plan(project).targets), verbose=verbose) as watcher:
            verdict = build_check.check(project, lambda result: _show(watcher, result))
    if json:
        found = [{"kind": d.kind, "file": d.name, "diff": d.diff} for d in verdict.differences]
        failed = [{"name": f.name, "message": f.message} for f in verdict.failures]
        give_json({"differences": found, "failures": failed, "mend": verdict.mend, "blocked": verdict.blocked})
    else:
        _print_verdict(verdict, time.perf_counter() - started)
    if verdict.failures:
        return Exit.USAGE
    return Exit.DIFFERENT if verdict.differences else Exit.OK


def clean(*, cache: Flag = False, dry_run: Flag = False) -> int:
    """Delete the files that symgen generated, and Numba's caches beside them.

    Args:
        cache: Delete caches only.
        dry_run: Say what would be deleted, and delete nothing.
    """
    project = _project([], None, None, None)
    folders = [folder for folder in (project.out, project.docs) if folder is not None and folder.is_dir()]
    count = 0
    for folder in folders:
        names = [] if cache else files.owned(folder)
        count += len(names)
        if dry_run:
            for name in names:
                give(str(folder / name))
            continue
        files.remove(folder, names)
        cached = files.clear_caches(folder)
        if cached:
            say(f"deleted {counted(cached, 'cached file')} below {folder}")
    say(f"{'would delete' if dry_run else 'deleted'} {counted(count, 'generated file')}")
    return Exit.OK


def _project(specs: Sequence[Path], out: Path | None, package: str | None, jobs: int | None) -> Config:
    found = config.load()
    if found is None:
        if not specs or out is None:
            raise UserError(NO_PROJECT)
        found = config.parse(Path.cwd(), {}, "defaults")
    return found.with_options(specs, out, package, jobs)


def build_and_tell(
    project: Config, names: Sequence[str] = (), *, force: bool = False, strict: bool = False, verbose: bool = False
) -> int:
    """Build, show the progress, and say what was done; returns the exit code."""
    todo = driver.plan(project, names, force=force)
    with progress(len(todo.stale), verbose=verbose) as watcher:
        listener = lambda result: _show(watcher, result)  # noqa: E731
        outcome = driver.build(project, names, force=force, strict=strict, listener=listener, todo=todo)
    _print_failures(outcome.failures)
    for name, found in outcome.missed.items():
        if strict or name in outcome.built:
            warn(warning(name, found))
    say(_summary(outcome, todo))
    if not todo.targets:
        say("no spec defines a function yet: `symgen new NAME` writes one to start from")
    if outcome.failures:
        return Exit.USAGE
    return Exit.DIFFERENT if strict and outcome.missed else Exit.OK


def _show(watcher: Progress, result: Compiled | Failure) -> None:
    if isinstance(result, Compiled):
        watcher.line(describe(result))
    watcher.advance(result.name)


def describe(result: Compiled) -> str:
    """One line on how a function was derived, for people who watch."""
    report = result.report
    used = f"{counted(len(report.rules), 'rule')}" + (f" ({_abridged(report.rules)})" if report.rules else "")
    parts = [counted(report.variants, "variant")] if report.variants > 1 else []
    parts += [used, counted(report.segments, "segment"), f"{report.seconds:.1f} s"]
    return f"{result.name:<14} {', '.join(parts)}" + (", misses its accuracy bar" if result.missed else "")


def _abridged(words: Sequence[str], most: int = 4) -> str:
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")


def _summary(outcome: driver.Outcome, todo: driver.Plan) -> str:
    parts = [_done(outcome, todo)]
    if outcome.removed:
        parts.append(f"deleted {counted(len(outcome.removed), 'file')} that no spec leads to any more")
    if outcome.failures:
        parts.append(f"{counted(len(outcome.failures), 'function')} failed")
    if outcome.missed:
        one = len(outcome.missed) == 1
        parts.append(f"{counted(len(outcome.missed), 'function')} {'misses its' if one else 'miss their'} accuracy bar")
        parts[-1] += f" ({_abridged([*outcome.missed])})"
    return "; ".join(parts)


def _done(outcome: driver.Outcome, todo: driver.Plan) -> str:
    if todo.nothing_to_do:
        return f"nothing to do: {counted(outcome.unchanged, 'function')} up to date in {outcome.seconds:.2f} s"
    if outcome.refused:
        return f"nothing written: derived {counted(len(outcome.withheld), 'function')} in {outcome.seconds:.1f} s"
    written = f"{counted(len(outcome.written), 'file')} written ({outcome.same} unchanged)"
    return f"built {counted(len(outcome.built), 'function')}, {written} in {outcome.seconds:.1f} s"


def _print_failures(failures: Sequence[Failure]) -> None:
    """Each message once: the functions of one file fail together."""
    for message in dict.fromkeys(failure.message for failure in failures):
        complain(message)


def _print_verdict(verdict: build_check.Verdict, seconds: float) -> None:
    _print_failures(verdict.failures)
    for difference in verdict.differences:
        if difference.diff:
            give(difference.diff)
        say(f"{difference.kind}: {difference.name}")
    if verdict.blocked:
        say(
            f"symgen did not write {', '.join(verdict.blocked)}, and `symgen build` refuses to replace what it did not "
            "write: move it away, then build, or let `symgen build --force` replace it"
        )
    elif verdict.mend:
        say(f"{counted(len(verdict.differences), 'difference')}: mend with `{verdict.mend}`")
    elif verdict.differences:
        say("symgen did not write these files: move them out of the generated folder")
    elif not verdict.failures:
        say(f"everything is as the specs say ({seconds:.1f} s)")


def _dry_run(todo: driver.Plan) -> int:
    for name in todo.stale:
        give(f"build {name}")
    for name in (*todo.orphans, *todo.docs_orphans):
        give(f"delete {name}")
    unchanged = len(todo.targets) - len(todo.stale)
    say(f"would build {counted(len(todo.stale), 'function')} ({unchanged} up to date)")
    return Exit.OK


def _watch(project: Config, before: _Stamps, names: Sequence[str], *, strict: bool, verbose: bool) -> int:
    """Build again on each change until interrupted; a wrong spec is reported and waited for."""
    say("watching; stop with Ctrl-C")
    while True:
        time.sleep(0.3)
        now = _stamps(project)
        if now == before:
            continue
        before = now
        try:
            build_and_tell(project, names, force=False, strict=strict, verbose=verbose)
        except UserError as error:
            complain(str(error))


def _stamps(project: Config) -> _Stamps:
    found: _Stamps = {}
    for root in project.specs:
        for path in [root] if root.is_file() else root.rglob("*.py"):
            try:
                status = path.stat()
            except FileNotFoundError:  # an editor is just replacing it
                continue
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


def counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
