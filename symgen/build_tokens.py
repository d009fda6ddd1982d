"""The tokens of generated modules and of what they inline, of which a build takes all: Python's tokenizer is slow.

Only the Python that is found there is read right: no string of three quotes but for documentation, no backslash that
joins lines. Tests compare with `tokenize`.
"""

from __future__ import annotations

import re
import token
from typing import Final

STRING: Final = r"[A-Za-z]{0,2}(?:" + r'"(?:[^"\\\n]|\\.)*"' + "|" + r"'(?:[^'\\\n]|\\.)*'" + ")"
NUMBER: Final = r"0[xX][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?[jJ]?"
OPERATOR: Final = r"(?:\*\*|//|>>|<<)=?|[<>=!+*/%&|^@-]=|->|:=|\.\.\.|\S"
TOKEN: Final = re.compile(rf"{STRING}|{NUMBER}|\w+|{OPERATOR}")
ASIDE: Final = re.compile(rf'[A-Za-z]?"""[\s\S]*?"""|{STRING}|\#[^\n]*')
DOC: Final = "\0"  # stands for documentation, which ends a line as any other statement does
INDENT, DEDENT, NEWLINE, END = str(token.INDENT), str(token.DEDENT), "\n", ""


def tokens(text: str) -> list[str]:
    r"""The tokens of a module but for comments and documentation; of what indents, the numbers of its tokens.

    Example:
        >>> tokens("def f(x):  # twice\n    return 2*x\n")
        ['def', 'f', '(', 'x', ')', ':', '\n', '5', 'return', '2', '*', 'x', '\n', '6', '']
    """
    found: list[str] = []
    widths, depth = [0], 0
    for line in ASIDE.sub(_bare, text).split("\n"):
        if not (own := TOKEN.findall(line)):
            continue
        if not depth:
            width = len(line) - len(line.lstrip())
            if width > widths[-1]:
                widths.append(width)
                found.append(INDENT)
            while width < widths[-1]:
                widths.pop()
                found.append(DEDENT)
        found += (t for t in own if t != DOC)
        depth += sum(map(own.count, "([{")) - sum(map(own.count, ")]}"))
        if not depth:
            found.append(NEWLINE)
    return [*found, *[DEDENT] * (len(widths) - 1), END]


def _bare(match: re.Match[str]) -> str:
    found = match[0]
    return "" if found[0] == "#" else DOC if found.endswith('"""') else found
