"""`symgen certify` and `symgen sheet`: what is claimed of kernels, measured and printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from symgen import build as driver
from symgen import build_keys, config
from symgen.build_keys import Target
from symgen.cli import Exit
from symgen.cli_build import NO_PROJECT, build_and_tell, counted
from symgen.cli_show import current
from symgen.config import Config
from symgen.console import complain, give, give_json, say, table
from symgen.files import UserError

if TYPE_CHECKING:
    from symgen.certificate import Certificate

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Count = Annotated[int | None, Parameter(validator=Number(gte=1), show_default=False)]
Names = Annotated[list[str] | None, Parameter(negative=(), show_default=False)]


def certify(
    names: Names = None, /, *, exhaustive: Flag = False, cuda: Flag = False, points: Count = None, json: Flag = False
) -> int:
    """Measure the error of kernels against ball arithmetic, in ULP; exit code 1 if one misses its bar.

    Inside a project the certificate is kept beside the kernels, and the reference cards, if there are any, show it.
    A sweep that is interrupted goes on where it was (its state is in the user's cache, in symgen/sweeps).

    Args:
        names: Functions to measure; all if none is named.
        exhaustive: Every float32 input of functions of one array, against a proved reference; functions whose
            certificate already holds that of these kernels are not measured again.
        cuda: The CUDA kernels instead, as an interpreter of their PTX computes on the processor: errors in float32
            and what an element takes, for the reference cards.
        points: How many float64 inputs of each output, instead of 100,000; what a sweep has found stays.
        json: One JSON document instead of tables.
    """
    if exhaustive and points is not None:
        raise UserError("--exhaustive and --points are two runs; the second keeps what the first has found")
    project = current()
    targets = build_keys.targets(project)
    from symgen import measure

    chosen = driver.resolve(names or (), targets) or tuple(targets)
    measure.require_fresh(project, chosen)
    if cuda:
        return _certify_cuda(project, {name: targets[name] for name in chosen})
    if "bfloat16" not in measure.installed_dtypes():
        say("bfloat16 is not measured: pip install ml_dtypes")
    found = []
    for certificate in _measured(project, {name: targets[name] for name in chosen}, exhaustive, points):
        _clear()
        found.append(certificate)
        if not json:
            _print(certificate)
    if json:
        import json as encoder

        give_json([encoder.loads(certificate.to_json()) for certificate in found])
    failures = [failure for certificate in found for failure in certificate.failures()]
    for failure in failures:
        complain(failure)
    say(f"{len(found)} measured, {len(failures) or 'no'} {'bar' if len(failures) < 2 else 'bars'} missed")
    return _refresh_cards(project, chosen) or (Exit.DIFFERENT if failures else Exit.OK)


def _certify_cuda(project: Config, targets: dict[str, Target]) -> int:
    if config.load() is None:
        raise UserError(NO_PROJECT)
    try:
        from symgen import certify_cuda
    except ImportError as error:
        what = f"CUDA kernels are compiled with numba-cuda ({error})"
        raise UserError(f"{what}\n  hint: pip install 'symgen[cuda]'") from None
    for name, target in targets.items():
        place = certify_cuda.certify(project, target)
        say(f"{name}: {'has no CUDA kernels' if place is None else 'measured'}")
    return _refresh_cards(project, tuple(targets))


def _measured(
    project: Config, targets: dict[str, Target], exhaustive: bool, points: int | None
) -> Iterator[Certificate]:
    """Measure functions one after the other, or all at once as parts of sweeps."""
    from symgen import measure, measure_all
    from symgen.exhaustive import keep_exhaustive

    if exhaustive and config.load() is None:
        raise UserError(NO_PROJECT)
    if exhaustive:
        yield from measure_all.certify_all(project, targets, _progress)
        return
    for target in targets.values():
        effort = measure.FULL if points is None else replace(measure.FULL, points64=points)
        certificate = measure.measure(project, target, _progress, effort)
        if config.load() is not None:
            certificate = keep_exhaustive(certificate, measure.saved(project, target.name))
            measure.save(project, certificate)
        yield certificate


def _refresh_cards(project: Config, names: tuple[str, ...]) -> int:
    """Build the cards that show what was just measured, so that everything is up to date when certify ends."""
    if config.load() is None or project.docs is None:
        return Exit.OK
    outcome = driver.build(project, names)
    for failure in outcome.failures:
        complain(failure.message)
    if outcome.built:
        say(f"refreshed {counted(len(outcome.built), 'reference card')} in {project.docs}")
    return Exit.USAGE if outcome.failures else Exit.OK


def sheet() -> int:
    """Write the LaTeX reference sheet, and its PDF where latexmk is installed."""
    project = config.load()
    if project is None:
        raise UserError(NO_PROJECT.replace(", or say --specs FOLDER and --out FOLDER", ""))
    if project.docs is None:
        project = project.with_docs(project.root / config.DOCS)
    code = build_and_tell(project)
    if code != Exit.OK:
        return code
    assert project.docs is not None
    from symgen import sheet as typesetter

    give(str(project.docs / typesetter.SHEET))
    if not typesetter.has_latex():
        say(f"no PDF: latexmk is not installed (on Debian: apt install {typesetter.PACKAGES})")
        return Exit.OK
    say("typesetting")
    give(str(typesetter.compile_pdf(project.docs, project.docs / "sheet.pdf")))
    return Exit.OK


def _print(certificate: Certificate) -> None:
    heading, *rows = certificate.table()
    for note in certificate.notes:
        say(f"{certificate.name}: {note}")
    table(("function", *heading), [(certificate.name, *row) for row in rows])


def _progress(what: str, fraction: float) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{what} {fraction:4.0%}", end="", file=sys.stderr, flush=True)


def _clear() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
