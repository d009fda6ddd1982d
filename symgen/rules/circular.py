"""Rules of the circular functions: differences at near arguments, and what cancels at zero."""

from __future__ import annotations

from sympy import atan, cos, sin, tan

from symgen.rules.rule import Rule, u, v
from symgen.vocabulary import hypot

_APART = ((u * v, "of several operands"),)
_SHIFTED = ((u - v, "number"), (u, "not a number"))

RECOGNIZE = (
    Rule("half-angle-tangent", (1 - cos(u)) / sin(u), tan(u / 2),
         "recognize", "no cancellation at 0", "circular", "DLMF 4.21"),
    Rule("cosine-double", 1 - 2 * sin(u) ** 2, cos(2 * u),
         "recognize", "no cancellation at its roots", "circular", "DLMF 4.21"),
)

STABILIZE = (
    Rule("cosine-double-squares", cos(u) ** 2 - sin(u) ** 2, cos(2 * u),
         "stabilize", "no cancellation at its roots", "circular", "DLMF 4.21"),
    Rule("versine", 1 - cos(u), 2 * sin(u / 2) ** 2,
         "stabilize", "no cancellation at 0", "circular", "DLMF 4.21", ((u, "not a number"),)),
    Rule("tan-minus-sin", tan(u) - sin(u), 2 * tan(u) * sin(u / 2) ** 2,
         "stabilize", "no cancellation at 0", "circular", "DLMF 4.21"),
    Rule("sine-step", sin(u) - sin(v), 2 * cos((u + v) / 2) * sin((u - v) / 2),
         "stabilize", "no difference of near equals", "circular", "DLMF 4.21", _SHIFTED),
    Rule("cosine-step", cos(u) - cos(v), -2 * sin((u + v) / 2) * sin((u - v) / 2),
         "stabilize", "no difference of near equals", "circular", "DLMF 4.21", _SHIFTED),
    Rule("atan-step", atan(u) - atan(v), atan((u - v) / (1 + u * v)),
         "stabilize", "no difference of near equals", "derivative", "DLMF 4.24",
         ((u - v, "positive"), (u - v, "number below 2"))),
    Rule("atan-apart", atan(u) - atan(v), 2 * atan((u - v) / (1 + u * v + hypot(1 + u * v, u - v))),
         "stabilize", "no difference of near equals, whatever the angle", "derivative", "DLMF 4.24", _APART),
)
