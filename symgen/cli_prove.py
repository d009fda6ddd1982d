"""`symgen rules` and `symgen prove`: what the rewriting rules are, and that they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from symgen import build as driver
from symgen import build_pool, config
from symgen.cli import Exit
from symgen.console import give, give_json, progress, say, table
from symgen.files import UserError

if TYPE_CHECKING:
    from symgen.proofs import Finding, Obligation

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Count = Annotated[int, Parameter(show_default=False)]


def rules(name: str | None = None, /, *, json: Flag = False) -> int:
    """List the rewriting rules with their domains, their proofs, and the functions that need them.

    Args:
        name: One rule, in full.
        json: One JSON document instead of a table.
    """
    from symgen.prove import table as proved

    project = config.load() or config.catalogue()
    rows = proved(_users(driver.read_manifest(project.out)["functions"]))
    if name is not None:
        _refuse_unknown(name, [row["name"] for row in rows], "rule")
        rows = [row for row in rows if row["name"] == name]
    if json:
        give_json(rows)
    elif name is not None:
        give("\n".join(f"{key:9} {_text(value)}" for key, value in rows[0].items()))
    else:
        columns = ("name", "left", "right", "domain", "proof", "used by")
        table(columns, [tuple(_text(row[column]) for column in columns) for row in rows])
    return Exit.OK


def _refuse_unknown(name: str, known: list[str], what: str) -> None:
    if name not in known:
        raise UserError(f"there is no {what} {name!r}\n  hint: {config.did_you_mean(name, known)}")


def _users(functions: dict[str, Any]) -> dict[str, list[str]]:
    """For each rule the functions whose derivation applies it, as the manifest remembers."""
    users: dict[str, list[str]] = {}
    for function, entry in sorted(functions.items()):
        for rule in entry.get("rules", ()):
            users.setdefault(rule, []).append(function)
    return users


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else " ".join(value) or "-"


def prove(name: str | None = None, /, *, limit: float = 60.0, jobs: Count = 0, json: Flag = False) -> int:
    """Prove every rule, every table of derivatives and every fitted piece anew, or find a counterexample.

    Args:
        name: One rule, head or function.
        limit: Seconds of processor time for one proof; what takes longer is undecided.
        jobs: How many processes; as many as there are processors if not said.
        json: One JSON document instead of a line for each proof.
    """
    from symgen import proofs

    wanted = _named(proofs.obligations(), name)
    found: list[Finding] = []
    with progress(len(wanted), verbose=False) as shown:
        for finding in proofs.discharge_all(wanted, limit, jobs or build_pool.cores()):
            found.append(finding)
            shown.advance(finding.name)
    order = {(o.kind, o.name): i for i, o in enumerate(wanted)}
    found.sort(key=lambda f: order[f.kind, f.name])
    if json:
        give_json([_document(f) for f in found])
    else:
        table(("kind", "name", "proof", "seconds"), [(f.kind, f.name, str(f.verdict), _seconds(f)) for f in found])
    failed = [f for f in found if not f.proved]
    sampled = sum(_label(f).startswith("sampled") for f in found)
    say(f"{len(found) - len(failed)} of {len(found)} proved" + (f", {sampled} by sampling alone" if sampled else ""))
    return Exit.DIFFERENT if failed else Exit.OK


def _named(everything: list[Obligation], name: str | None) -> list[Obligation]:
    if name is None:
        return everything
    _refuse_unknown(name, [o.name for o in everything], "rule, head or function")
    return [o for o in everything if o.name == name]


def _label(finding: Finding) -> str:
    return getattr(finding.verdict, "label", "")


def _seconds(finding: Finding) -> str:
    return f"{finding.verdict.seconds:.2f}"


def _document(finding: Finding) -> dict[str, Any]:
    """A finding as data: the label is empty where there is no proof."""
    return {
        "kind": finding.kind,
        "name": finding.name,
        "proved": finding.proved,
        "label": _label(finding),
        "evidence": getattr(finding.verdict, "evidence", str(finding.verdict)),
        "seconds": round(finding.verdict.seconds, 3),
    }
