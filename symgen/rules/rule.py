"""What a rewrite rule is: data that is matched, proved, listed and printed, never code that is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy import Expr, Symbol

# The variables that rules are written in. They are finite reals; what a rule needs beyond that stands in its domain.
u, v, a, b = sp.symbols("u v a b", real=True)
VARIABLES: frozenset[Symbol] = frozenset((u, v, a, b))

# What a domain can ask of the expression that a variable stands for. Unknown counts as no: rules fire where it is safe.
CONDITIONS: dict[str, Callable[[Any], bool]] = {
    "positive": lambda e: bool(e.is_positive),
    "nonnegative": lambda e: bool(e.is_nonnegative),
    "negative": lambda e: bool(e.is_negative),
    "nonpositive": lambda e: bool(e.is_nonpositive),
    "number": lambda e: bool(e.is_number),
    "not a number": lambda e: not e.is_number,
    "not an integer": lambda e: not e.is_integer,
    # a power with it as exponent is real for no negative base, which a definition on all of its domain then never has
    "a real exponent": lambda e: not e.is_integer,
    "of several operands": lambda e: len(e.free_symbols) > 1,
    # as an expression: at points where it is zero IEEE arithmetic has to give the limit, as 0 * softplus(-inf) does
    "not zero": lambda e: not e.is_zero,
    "number below 2": lambda e: bool(e.is_number and e < 2),
    # chooses one of u and -u, so that an odd or even head has one spelling; any real number satisfies it in a proof
    "written without minus": lambda e: bool((-e).could_extract_minus_sign()),
}

def replacement(e: Expr, bindings: dict[Symbol, Expr]) -> Expr:
    """An expression in the variables with what they stand for; of two added or subtracted what is left multiplied out.

    Example:
        >>> k, x = sp.symbols("k x", real=True)
        >>> replacement(sp.tanh(u - v), {u: k * (x + 1), v: k * (x - 1)})
        tanh(2*k)
    """
    shorter = {d: found for d in _pairs(e) if (found := _multiplied_out(d, bindings)) is not None}
    return e.xreplace({**shorter, **bindings})


@lru_cache(maxsize=1024)
def _pairs(e: Expr) -> tuple[Expr, ...]:
    """The sums and differences of two variables in an expression, or of halves of them."""
    sums = (s for s in e.atoms(sp.Add) if len(s.args) == 2)
    return tuple(s for s in sums if all(t.as_coeff_Mul()[1] in VARIABLES for t in s.args))


def _multiplied_out(pair: Expr, bindings: dict[Symbol, Expr]) -> Expr | None:
    """A sum or difference, if an operand drops out of it: ``k (x + 1) - k (x - 1)`` is ``2 k``."""
    whole = pair.xreplace(bindings)
    found = sp.expand_mul(whole)
    return found if len(found.free_symbols) < len(whole.free_symbols) else None


PHASES = ("recognize", "stabilize", "unfold", "narrow")


@dataclass(frozen=True)
class Rule:
    """``left -> right``, for variables that satisfy the domain.

    Attributes:
        name: unique, as shown in derivations.
        left: pattern in `VARIABLES`; sums match up to a common factor, products up to further factors.
        right: what replaces it.
        phase: "unfold" procedures make one more candidate for the ends of the range,
            "recognize" rules turn naive text into heads before calculus, "stabilize" rules make a value or a
            derivative computable, "narrow" rules do so for float32 arithmetic alone.
        gain: what is won, in one sentence.
        proof: the tactic of `symgen.prove` that proves it.
        source: where it comes from.
        domain: pairs of an expression in the variables, most often one of them, and a key of `CONDITIONS`.
    """

    name: str
    left: Expr
    right: Expr
    phase: str
    gain: str
    proof: str
    source: str
    domain: tuple[tuple[Expr, str], ...] = ()

    def admits(self, bindings: dict[Symbol, Expr]) -> bool:
        """Whether what the variables stand for satisfies the domain."""
        return all(CONDITIONS[condition](replacement(e, bindings)) for e, condition in self.domain)

    def domain_text(self) -> str:
        return ", ".join(f"{e} {condition}" for e, condition in self.domain) or "reals"


@dataclass(frozen=True)
class Procedure:
    """A family of identities that no single pattern states, such as cancelling a quotient.

    Attributes:
        run: gives the rewritten node, or None where it does not apply.
        first: whether it runs before the rules, or where none of them applies any more.
        examples: nodes it applies to; the proof is that each is equal to what `run` makes of it.
    """

    name: str
    run: Callable[[Expr], Expr | None]
    phase: str
    gain: str
    examples: tuple[Expr, ...]
    source: str
    first: bool = False
    proof: str = "exponential"


@dataclass(frozen=True)
class Step:
    """One application: the smallest whole node that contains the match, and what became of it."""

    rule: str
    before: Expr
    after: Expr
