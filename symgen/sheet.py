"""The reference sheet: one card of LaTeX for each function, the document that collects them, and its PDF."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sympy as sp
from jinja2 import Environment

from symgen import vocabulary
from symgen.backends import latex_names as names
from symgen.backends.latex_accuracy import DTYPES, Cell, summary
from symgen.backends.latex_card import Card, card
from symgen.backends.latex_expr import latex
from symgen.backends.latex_part import aligned
from symgen.backends.latex_samples import Kernel, Samples, from_cores, from_kernel, is_curve
from symgen.backends.render import environment
from symgen.files import UserError

if TYPE_CHECKING:
    from symgen.derivation import Derivation

TITLE = "Function reference"
SHEET = "sheet.tex"
PREAMBLE = "preamble.tex"
PACKAGES = "texlive-latex-recommended texlive-pictures texlive-fonts-recommended lmodern latexmk"
_TEX_SECONDS = 600
# what these heads are cannot be said in other functions
_INTEGRALS = {vocabulary.erf: r"\frac{2}{\sqrt{\pi}} \int_0^u e^{-t^2} \,\mathrm{d}t"}
# and these have no name of their own in print
_UNNAMED = (vocabulary.log_half_erfc,)


@dataclass(frozen=True)
class Entry:
    """What the sheet says of a function outside its card: its line in the contents and its row of accuracies."""

    name: str
    summary: str
    certificate: Mapping[str, Any] | None = None


# -- text -----------------------------------------------------------------------------------------------------------


def card_path(name: str) -> str:
    """The file of a function's card, relative to the reference's folder."""
    return f"cards/{name}.tex"


def card_text(
    derivation: Derivation, samples: Samples | None = None, certificate: Mapping[str, Any] | None = None
) -> str:
    """The TeX of one card.

    Args:
        derivation: What the pipeline derived.
        samples: Values of f, f' and f'' for the plot; those of the derivation's own scalar code where None.
        certificate: The content of ``certificates/NAME.json``, None where nothing was measured.
    """
    if samples is None and is_curve(derivation.op):
        samples = from_cores(derivation)
    return render_card(card(derivation, samples, certificate))


def render_card(content: Card) -> str:
    """A card as TeX."""
    return _render("card.tex.jinja", {"card": content, "aligned": aligned})


def sheet_texts(entries: Iterable[Entry], title: str = TITLE) -> dict[str, str]:
    """The document around the cards, and how they look.

    Args:
        entries: One for each function; the sheet has them in the order of their names.
        title: Printed on the first page and at the head of every other.

    Returns:
        Texts by file name, relative to the folder that holds ``cards``.
    """
    ordered, heads = sorted(entries, key=lambda e: e.name), _notation()
    values = {
        "title": names.escape(title),
        "entries": [(e.name, names.escape(e.name), names.prose(e.summary)) for e in ordered],
        "notation": (heads[: (len(heads) + 1) // 2], heads[(len(heads) + 1) // 2 :]),
        "dtypes": DTYPES,
        "accuracy": [(names.escape(e.name), e.name, _accuracy_cells(e)) for e in ordered],
    }
    return {SHEET: _render("sheet.tex.jinja", values), PREAMBLE: _render("preamble.tex.jinja", {})}


def write_cards(
    derivations: Mapping[str, Derivation],
    kernels: Mapping[str, Kernel] | None = None,
    certificates: Mapping[str, Mapping[str, Any]] | None = None,
    title: str = TITLE,
) -> dict[str, str]:
    """The whole reference as texts by path, the same from run to run.

    Args:
        derivations: What the pipeline derived, by name.
        kernels: Compiled kernels that give the values for the plots, by name; the scalar code of the derivation where
            there is none.
        certificates: Measured errors by name, as loaded from their files.
        title: Of the sheet.
    """
    kernels, certificates = kernels or {}, certificates or {}
    texts = {}
    for name, derivation in sorted(derivations.items()):
        samples = from_kernel(kernels[name], derivation.op) if name in kernels and is_curve(derivation.op) else None
        texts[card_path(name)] = card_text(derivation, samples, certificates.get(name))
    entries = [Entry(n, d.op.summary, certificates.get(n)) for n, d in derivations.items()]
    return texts | sheet_texts(entries, title)


def _accuracy_cells(entry: Entry) -> list[list[Cell]]:
    """For each dtype the cells of value, first and second derivative."""
    return [list(cells) for cells in zip(*summary(entry.certificate or {}), strict=True)]


def _notation() -> list[tuple[str, str]]:
    """Every head of the vocabulary with its definition, as pairs of TeX."""
    u, v = sp.symbols("u v", real=True)
    out = []
    for head, define in vocabulary.DEFINITIONS.items():
        arguments = (u, v)[: int(min(head.nargs))]
        left, right = latex(head(*arguments)), _INTEGRALS.get(head) or latex(define(*arguments))
        if left != right and head not in _UNNAMED:
            out.append((left, right))
    return out


def _render(template: str, values: Mapping[str, Any]) -> str:
    return _environment().get_template(template).render(values)


def _environment() -> Environment:
    """The templates, with marks that TeX does not use."""
    return environment("latex").overlay(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )


# -- PDF ------------------------------------------------------------------------------------------------------------


def has_latex() -> bool:
    """Whether a PDF can be made on this machine."""
    return shutil.which("latexmk") is not None


def compile_pdf(folder: Path, pdf: Path) -> Path:
    """Typeset the sheet, leaving nothing behind but the PDF; equal texts give equal bytes.

    Args:
        folder: Holds ``sheet.tex`` and what it inputs; it is not written to.
        pdf: The file to write.

    Returns:
        The PDF's path.

    Raises:
        UserError: latexmk is not installed, or TeX found an error; the message says where and what.
    """
    if not has_latex():
        raise UserError(
            f"no PDF: latexmk is not installed; the LaTeX is in {folder}\n  hint: on Debian: apt install {PACKAGES}"
        )
    with tempfile.TemporaryDirectory(prefix="symgen-tex-") as work:
        shutil.copytree(folder, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pdf"))
        _run_latexmk(Path(work))
        temporary = pdf.with_name(f".symgen-{os.getpid()}-{pdf.name}.tmp")
        pdf.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(Path(work) / "sheet.pdf", temporary)
            temporary.replace(pdf)
        finally:
            temporary.unlink(missing_ok=True)
    return pdf


def _run_latexmk(work: Path) -> None:
    # TeX wraps its log at 79 columns unless told otherwise, through the middle of file names
    fixed = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "max_print_line": "1000", "TZ": "UTC"}
    command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error", SHEET]
    try:
        done = subprocess.run(
            command, cwd=work, env={**os.environ, **fixed}, capture_output=True, check=False, timeout=_TEX_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"no PDF: latexmk took more than {_TEX_SECONDS} s\n  hint: run it by hand") from None
    if done.returncode:
        log = work / "sheet.log"
        said = log.read_bytes() if log.is_file() else done.stdout
        raise UserError(f"no PDF: TeX found an error\n{tex_errors(said.decode(errors='replace'))}")


def tex_errors(log: str, most: int = 3) -> str:
    r"""The errors of a TeX log as people want them: file, line, what, and the text at that place.

    Example:
        >>> print(tex_errors("./cards/elu.tex:7: Undefined control sequence.\nl.7 f(x) = y"))
          cards/elu.tex:7: Undefined control sequence.
            f(x) = y
    """
    lines = log.splitlines()
    found = []
    for i, line in enumerate(lines):
        place = re.match(r"(?:\./)?([^\s:]+:\d+): (.*)", line)
        missing = re.match(r"! LaTeX Error: (File `[^']+' not found)", line)
        if place:
            found.append(f"  {place[1]}: {place[2]}" + _source(lines[i + 1 : i + 12]))
        elif missing:
            found.append(f"  {missing[1]}\n  hint: on Debian: apt install {PACKAGES}")
    if not found:
        found = ["  " + "\n  ".join(lines[-8:])]
    return "\n".join(found[:most])


def _source(after: list[str]) -> str:
    """The line of source that TeX quotes in two halves after ``l.NUMBER``."""
    for i, line in enumerate(after):
        quoted = re.match(r"l\.\d+ ?(.*)", line)
        if quoted:
            rest = after[i + 1].strip() if i + 1 < len(after) else ""
            return f"\n    {quoted[1].strip()} {rest}".rstrip()[:300]
    return ""
