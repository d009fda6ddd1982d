"""The report as plain text of 100 columns; what each line is (a heading, a failure) is said for those with colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sympy import Expr, Symbol

from symgen.explain import words
from symgen.explain.findings import DTYPES, Finding
from symgen.explain.report import Cut, OutputReport, Report, VariantReport
from symgen.explain.stages import Stage

WIDTH = 100
MOST_STRETCHES = 8
NAMES = {"value": "value", "grad": "first derivative", "grad2": "second derivative"}

CONDITION = "ill-conditioned: an {x} that is 1 ULP off moves the result by about |{x} f'({x}) / f({x})| ULP, which is"
ERRORS = (
    "Errors are the largest at the probe points: of a form, computed in plain float64 (for float32 rounded once from "
    "there); of the kernel, as it computes. 0.5 ULP is a correctly rounded result. Failures are named with the input "
    "nearest to zero at which they happen."
)


@dataclass(frozen=True)
class Line:
    """One line and what it is: "heading", "good", "bad", "quiet" or nothing in particular."""

    text: str
    style: str = ""


def lines(report: Report) -> Iterator[Line]:
    """The whole report."""
    gap = max(WIDTH - len(report.name) - len(report.source), 1)
    yield Line(f"{report.name}{' ' * gap}{report.source}", "heading")
    yield from _plain(words.folded(report.summary, WIDTH))
    yield Line("")
    yield Line("definition")
    yield from _plain(f"    {line}" for line in report.definition.splitlines())
    yield Line("arguments")
    yield from _plain(f"    {line}" for line in report.arguments)
    for variant in report.variants:
        yield from _variant(report, variant)
    yield Line("")
    yield from _legend(report)


def _plain(texts: Iterable[str], style: str = "") -> Iterator[Line]:
    return (Line(text, style) for text in texts)


def _variant(report: Report, variant: VariantReport) -> Iterator[Line]:
    if len(report.variants) > 1:
        yield Line("")
        yield Line(_ruled(f"variant {variant.suffix}: {variant.applies}", "="), "heading")
    yield Line("")
    yield from _plain(words.folded(str(variant.written), WIDTH, "formula          "))
    same = str(variant.written) == str(variant.recognized)
    text = "nothing: it stays as it is written" if same else str(variant.recognized)
    yield from _plain(words.folded(text, WIDTH, "recognised as    "))
    if variant.settings != ({},):
        tried = "; ".join(words.setting_text(s)[2:] for s in variant.settings)
        yield from _plain(words.folded(tried, WIDTH, "measured with    "))
    for output in variant.outputs:
        yield Line("")
        yield from _output(report, output)


def _ruled(title: str, rule: str = "-") -> str:
    return f"{title} ".ljust(WIDTH, rule)


def _output(report: Report, output: OutputReport) -> Iterator[Line]:
    title = NAMES.get(output.name)
    yield Line(_ruled(f"{output.name}: {title}" if title and title != output.name else output.name), "heading")
    formulas = [e for s in output.stages for e in (s.whole, s.before, s.after) if e is not None]
    formulas += [c.expression for cuts in output.cuts.values() for c in cuts if c.expression is not None]
    names = words.abbreviations(formulas, WIDTH - 8)
    for i, (name, part) in enumerate(names.items()):
        shown = words.abbreviated(part, dict(list(names.items())[:i]))
        yield from _plain(words.folded(shown, WIDTH, f"with {name} = "))
    for i, stage in enumerate(output.stages):
        yield from _stage(i, stage, names, output.operand)
    yield Line(f"{'':<4}kernel")
    for dtype in DTYPES.values():
        yield from _errors(dtype, None, output.kernel[dtype], output.operand, _certified(report, output.name, dtype))
    for dtype in DTYPES.values():
        yield from _segments(dtype, output.cuts[dtype], output, names)
    yield from _remains(output)
    yield from _conditioning(output)


def _certified(report: Report, output: str, dtype: str) -> str:
    found = report.certified.get((output, dtype))
    return "" if found is None else f"   (certified: {found:.4g} ULP)"


def _stage(index: int, stage: Stage, names: Mapping[Symbol, Expr], operand: str) -> Iterator[Line]:
    if stage.before is None or stage.after is None:
        yield Line(f"{index:>2}  {stage.title}")
        yield from _plain(words.folded(words.abbreviated(stage.whole, names), WIDTH, " " * 8, " " * 12))
    else:
        proof = f" [{stage.proof}]" if stage.proof else ""
        yield from _plain(words.folded(f"{stage.title}: {stage.gain}{proof}", WIDTH, f"{index:>2}  ", " " * 8))
        before, after = words.abbreviated(stage.before, names), words.abbreviated(stage.after, names)
        yield from _plain(words.folded(before, WIDTH, " " * 8, " " * 12))
        yield from _plain(words.folded(after, WIDTH, "      = ", " " * 12))
    for dtype in DTYPES.values():
        before_it = stage.error_before[dtype] if stage.error_before else None
        yield from _errors(dtype, before_it, stage.error[dtype], operand)


def _errors(dtype: str, before: Finding | None, after: Finding, operand: str, more: str = "") -> Iterator[Line]:
    text = words.finding_text(after, operand)
    if before is not None:
        text = "as before" if before == after else f"{words.finding_text(before, operand)}  ->  {text}"
    style = "good" if _good(after, dtype) else ""
    yield from _plain(words.folded(f"{text}{more}", WIDTH, f"        {dtype}  "), style)


def _good(found: Finding, dtype: str) -> bool:
    return not found.failures and found.ulp <= (0.51 if dtype == "float32" else 4.0)


def _segments(dtype: str, cuts: tuple[Cut, ...], output: OutputReport, names: Mapping[Symbol, Expr]) -> Iterator[Line]:
    count = f"{len(cuts)} segments" if len(cuts) > 1 else "1 segment"
    yield Line(f"    {dtype}: {count}")
    given = None
    for cut in cuts:
        if cut.condition is not None and cut.condition != given:
            given = cut.condition
            yield from _plain(words.folded(f"where {given}", WIDTH, " " * 6, " " * 12))
        span = f"{words.number(cut.lower):>16} .. {words.number(cut.upper):<16}"
        error = words.finding_text(cut.error)
        head = f"{span} {error:<12} {cut.arithmetic:<13}"
        yield from _plain(words.folded(_what(cut, output, names), WIDTH, head, " " * 37))


def _what(cut: Cut, output: OutputReport, names: Mapping[Symbol, Expr]) -> str:
    """Which form computes a segment: its number above, where it is one of them."""
    if cut.expression is None:
        return cut.note
    for i, stage in reversed(list(enumerate(output.stages))):
        if stage.whole == cut.expression:
            return f"form {i}"
    return f"{words.abbreviated(cut.expression, names)} ({cut.note})"


def _remains(output: OutputReport) -> Iterator[Line]:
    if not output.missed:
        yield Line("    what remains: nothing, both bars are met at every point measured", "good")
        return
    yield Line("    what remains: the bar is missed", "bad")
    for miss in output.missed:
        yield from _plain(words.folded(miss.what, WIDTH, f"        {miss.dtype}  "), "bad")


def _conditioning(output: OutputReport) -> Iterator[Line]:
    if not output.conditioning:
        return
    yield from _plain(words.folded(CONDITION.format(x=output.operand), WIDTH, "    "))
    worst = sorted(output.conditioning, key=lambda stretch: -stretch.worst)[:MOST_STRETCHES]
    for stretch in output.conditioning:
        if stretch in worst:
            yield from _plain(words.folded(words.conditioning_text(stretch, output.operand), WIDTH, " " * 8, " " * 12))
    more = len(output.conditioning) - len(worst)
    if more:
        yield Line(f"        and on {more} more {'stretch' if more == 1 else 'stretches'}")


def _legend(report: Report) -> Iterator[Line]:
    """What the words mean that occur."""
    used = {c.arithmetic for v in report.variants for o in v.outputs for cuts in o.cuts.values() for c in cuts}
    yield from _plain(words.folded(ERRORS, WIDTH))
    for name, meaning in words.ARITHMETIC.items():
        if name in used:
            yield from _plain(words.folded(meaning, WIDTH, f"{name:<13} "))
