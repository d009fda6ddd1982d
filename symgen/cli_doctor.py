"""`symgen doctor`: the report, as a table or as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from symgen import doctor as checks
from symgen.cli import Exit
from symgen.console import give_json, say, table


def doctor(*, json: Annotated[bool, Parameter(negative=(), show_default=False)] = False) -> int:
    """Report versions, threads, LaTeX, and whether everything is in order; exit code 1 if something is wrong.

    Args:
        json: One JSON document instead of a table.
    """
    findings = checks.examine()
    if json:
        give_json([asdict(finding) for finding in findings])
    else:
        table(("", "status", ""), [(finding.topic, finding.status, finding.detail) for finding in findings])
        for finding in findings:
            if finding.hint:
                say(f"{finding.topic}: {finding.hint}")
    return Exit.DIFFERENT if any(finding.status == "wrong" for finding in findings) else Exit.OK
