"""A function and its derivatives enclosed over intervals and at points, from its definition and forms equal to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flint import arb
from sympy import Expr, Symbol

from symgen.oracle import as_ball
from symgen.taylor import Series, taylor

Form = tuple[Expr, int]
"""A formula, and the order of the derivative that it equals."""


class ProofError(AssertionError):
    """Two forms that have been proved equal are not."""


@dataclass
class Enclosure:
    """One derivative of a function along one symbol.

    Args:
        formulas: the definition, and forms proved equal to it or to one of its derivatives, which serve where the
            definition cannot be enclosed over an interval.
        wrt: the input.
        derivative: which one, 0 for the value.
        parameters: values of the other symbols by name.
    """

    formulas: Sequence[Form]
    wrt: Symbol
    derivative: int
    parameters: Mapping[str, float]

    def __post_init__(self) -> None:
        symbols = {s for formula, _ in self.formulas for s in formula.free_symbols} - {self.wrt}
        self.values = {s: as_ball(self.parameters[s.name]) for s in symbols}
        self.best = 0  # the formula that was good enough last

    @property
    def definition(self) -> Expr:
        return self.formulas[0][0]

    @property
    def equal(self) -> Expr | None:
        """The first form that equals the definition itself."""
        return next((formula for formula, done in self.formulas[1:] if not done), None)

    def order(self) -> list[int]:
        """Which formulas to try, the one that was good enough last first."""
        return sorted(range(len(self.formulas)), key=lambda i: i != self.best)

    def over(self, which: int, ball: arb, length: int) -> Series:
        """Taylor coefficients of the derivative over a ball, from one of the formulas.

        Raises:
            UndecidedError: a comparison inside the formula holds in one part of the ball only.
        """
        formula, done = self.formulas[which]
        found = taylor(formula, self.wrt, ball, length + self.derivative - done, self.values)
        for _ in range(self.derivative - done):
            found = [k * c for k, c in enumerate(found)][1:]
        return found

    def at(self, which: int, point: arb, over: Series) -> Series:
        """The series at a point: of the definition, or of a form equal to it where that loses fewer digits.

        Args:
            which: the formula.
            point: exact.
            over: the series of this formula over a ball around the point, of the same length.

        Raises:
            ProofError: a form that is said to be equal to the definition has other values.
        """
        exact = self.over(0, point, len(over))
        if not which:
            return exact
        other = self.over(which, point, len(over))
        for known in (over, other):
            if not all(a.overlaps(b) for a, b in zip(exact, known, strict=True) if a.is_finite() and b.is_finite()):
                raise ProofError(f"{self.formulas[which][0]} is not what {self.definition} gives at {point.str(17)}")
        return [b if not a.is_finite() or b.rad() < a.rad() else a for a, b in zip(exact, other, strict=True)]
