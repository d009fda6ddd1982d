"""Bodies after calculus, with differences that cancel in pairs, too, written as functions that do not.

``log(u) - log(v)`` is the logarithm of a ratio, which keeps what pairs know of u and v; ``exp(u) - 1`` is ``expm1``.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp
from sympy import Expr

from symgen.heads import Cases
from symgen.program import Program
from symgen.rows.indices import base_of, free_symbols, parts
from symgen.rows.share import DEAR
from symgen.vocabulary import expm1, log1p, quotient


def without_differences(program: Program) -> Program:
    """The program with one function for two logarithms of what was passed, and for an exponential less one."""
    rounded: set[str] = set()  # stages with elementary functions in them
    for stage in program.stages:
        inherited = rounded & {base_of(r) for r in free_symbols(stage.body)}
        if inherited or any(isinstance(e, DEAR) for e in parts(stage.body)):
            rounded.add(stage.out)
    stages = tuple(replace(s, body=_rewritten(s.body, frozenset(rounded), {})) for s in program.stages)
    return replace(program, stages=stages)


def _rewritten(e: Expr, rounded: frozenset[str], known: dict[Expr, Expr]) -> Expr:
    if not e.args or isinstance(e, sp.Indexed | sp.logic.boolalg.Boolean):
        return e
    if e not in known:
        args = tuple(_rewritten(a, rounded, known) for a in e.args)
        whole = e if args == e.args else e.func(*args)
        known[e] = _of_ratio(_less_one(whole), rounded) if whole.is_Add else whole
    return known[e]


def _of_ratio(e: Expr, rounded: frozenset[str]) -> Expr:
    """A sum in which two logarithms of what was passed, one less the other, are one."""
    logs = {}
    for term in sp.Add.make_args(e):
        number, log = term.as_coeff_Mul()
        if isinstance(log, sp.log | log1p) and not rounded & {base_of(r) for r in free_symbols(log)}:
            logs[term] = number, log
    for term, (number, log) in logs.items():
        for other, (opposite, second) in logs.items():
            if number > 0 and opposite == -number:
                above, below = _argument(log), _argument(second)
                # of two negative numbers there is a ratio, and no logarithm
                one = Cases(sp.Gt(below, 0, evaluate=False), sp.log(quotient(above, below)), log - second)
                return sp.Add(*(t for t in e.args if t not in (term, other)), number * one)
    return e


def _argument(log: Expr) -> Expr:
    return log.args[0] + 1 if isinstance(log, log1p) else log.args[0]


def _less_one(e: Expr) -> Expr:
    """A sum in which an exponential and a number make an expm1."""
    number = e.as_coeff_Add()[0]
    for term in e.args:
        factor, exponential = term.as_coeff_Mul()
        if isinstance(exponential, sp.exp) and factor == -number:
            return sp.Add(*(t for t in e.args if t not in (term, number)), factor * expm1(exponential.args[0]))
    return e
