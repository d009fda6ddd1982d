"""Each stage as one scalar core in pair arithmetic, and what it is called with at each place of a row.

Every number that a stage passes on is a pair: its float64 and what that is missing. So a loss that is the logarithm of
one and a little, or a gradient that is a probability less one, keeps all its bits, and sums do not lose any. For
results that are rounded to float32, what elementary functions lose by rounding to float64 is left out; what sums and
differences lose is not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
from sympy import Expr, Indexed, Symbol

from symgen.arithmetic import (
    CARRIED,
    COMPENSATED,
    DOUBLE,
    FINELY,
    PLAIN,
    POWER_OF_TWO,
    QUICK,
    SHORTENED,
    SINGLE,
    UNTRACKED,
    ZERO,
    Arithmetic,
    Pair,
    computing_in,
)
from symgen.heads import nearest
from symgen.kernel import Node, ScalarFunction, node, select, var, verify
from symgen.lowering import lower
from symgen.program import Program, Stage
from symgen.rows.centre import piloted
from symgen.rows.defined import flow
from symgen.rows.doubt import DOUBT, SIZE, doubtful
from symgen.rows.falling import falls, gathered
from symgen.rows.indices import base_of, free_symbols, is_index, is_nonnegative, opened, parts, places, replaced
from symgen.rows.precision import Facts, Loose, delicate, loose, relative, units
from symgen.rows.share import DEAR, inverted, lifted
from symgen.rows.shift import Family
from symgen.rows.tidy import hoisted, in_passes
from symgen.rows.told import told_apart
from symgen.spec.model import LISTED

LOW = "_l"  # what is missing goes by the name of the number and this
SINGLES = frozenset({"peak", "scale"})  # reductions that give a number, of which nothing is missing
TELLING = ("exp", "log", "pow_sum")
ROUGH = replace(COMPENSATED, short=True)
DEVICE = "cuda32"  # float32 arithmetic on a GPU
TARGETS = ("f64", "f32")
ALGEBRA = (sp.Add, sp.Mul, sp.Pow, sp.Number, Symbol, Indexed, sp.IndexedBase, sp.Idx, sp.Tuple)


@dataclass(frozen=True)
class Step:
    """A stage with its code.

    Attributes:
        stage: what is computed.
        core: the number, and with a second result what it is missing.
        reads: what the core's parameters stand for, in their order; a stage's read takes two where it is a pair.
        pair: whether later steps get what the number is missing.
        one: whether it is a sum of one and a little, which its pair tells apart.
    """

    stage: Stage
    core: ScalarFunction
    reads: tuple[Expr, ...]
    pair: bool
    one: bool = False


@dataclass(frozen=True)
class Schedule:
    """A program ready to print, for results of one dtype.

    Attributes:
        name: of the kernel.
        program: what is computed.
        steps: its stages with their code.
        target: the dtype of results.
        quick: the same in plain arithmetic, with a doubt about each row: tried first, where there is one.
        units: sums that are known to lie between one and the length of a row.
    """

    name: str
    program: Program
    steps: tuple[Step, ...]
    target: str = "f64"
    quick: Schedule | None = None
    units: frozenset[str] = frozenset()


Parametrised = tuple[Program, Sequence[Family]]  # a program with its free parameters, and what is known of those


def schedules(name: str, long: Parametrised, short: Parametrised, facts: Facts, once: bool = False
              ) -> tuple[Schedule, ...]:
    """The code of every stage of a program, for each target.

    Args:
        name: of the kernel.
        long: the program for float64.
        short: that for float32, whose numbers float64 arithmetic holds the powers of.
        facts: what is known of the operands.
        once: whether no row can be computed again, or a second kernel is not worth it.

    Raises:
        LoweringError: a body holds what no backend has code for.
    """
    program, families = lifted(long[0]), long[1]
    narrow = told_apart(lifted(short[0]), summed=once)
    single = SHORTENED if relative(narrow, short[1], facts.light) else UNTRACKED
    for inverses in (True, False):
        tidied = in_passes(hoisted(inverted(narrow), inverses))
        known = loose(tidied, short[1], facts)
        if known.settled.issuperset(tidied.results):
            break
    careful = _schedule(name, (tidied, short[1]), "f32", single, facts, known)
    quick = None
    if not once and _carries(careful):
        quick = _quick(name, in_passes(hoisted(inverted(piloted(lifted(narrow, finite=True))), inverses)), facts)
    if quick is not None and _cancels(tidied, short[1], facts):
        # what is left of a row in doubt may be less than what rounding an exponential to a float64 has lost
        careful = _schedule(name, (tidied, short[1]), "f32", FINELY, facts)
    double = FINELY if _cancels(program, families, facts) else COMPENSATED
    return (
        _schedule(name, (inverted(program, units(program, families)), families), "f64", double, facts),
        replace(careful, quick=quick),
    )


def _cancels(program: Program, families: Sequence[Family], facts: Facts) -> bool:
    """Whether a result asks more of exponentials, logarithms and powers than what rounding them has lost.

    Such are powers of an order that is no number, which differ from each other by little, and entries where something
    passed is added to an exponential, or to a number made of all of them: there is one for each of a row, and of one
    number or another little is left.
    """
    powers = (e for s in program.stages for e in parts(s.body) if isinstance(e, sp.Pow))
    entries = {s.out for s in program.stages if s.axes and s.body.has(sp.exp)}
    made = {s.out for s in program.stages}
    sums = (e for s in program.stages if s.out in program.results for e in parts(s.body) if isinstance(e, sp.Add))
    wanted = any(not p.exp.is_number for p in powers) or any(_mixes(e, entries, made) for e in sums)
    return wanted and not relative(program, families, facts.light)


def _mixes(e: Expr, entries: Collection[str], made: Collection[str]) -> bool:
    """Whether a sum has a term with one of some entries, and one with an entry of an operand, alone or not in all."""
    names = [_names(term) for term in e.args]
    exponentials = [not n.isdisjoint(entries) for n in names]
    passed = [{r for r in free_symbols(t) if base_of(r) not in made and places(r) and all(map(is_index, places(r)))}
              for t in e.args]  # fmt: skip
    alone = any(p and not x for p, x in zip(passed, exponentials, strict=True))
    return any(exponentials) and (alone or any(p != passed[0] for p in passed))


def _carries(made: Schedule) -> bool:
    """Whether loops over a row carry what numbers are missing, which makes them several times as dear."""
    loops = [s for s in made.steps if s.stage.axes or s.stage.over]
    adds = any(s.stage.op == "sum" and s.pair and not s.one for s in loops)
    return adds or any(s.stage.axes and name.endswith(LOW) for s in loops for name in s.core.parameters)


def _quick(name: str, program: Program, facts: Facts) -> Schedule | None:
    """The code of every stage in plain arithmetic, with what tells whether it is good enough."""
    checked = doubtful(program, facts.nonnegative)
    if checked is None:
        return None
    ordered = in_passes(checked)
    numbers = tuple(s for s in ordered.stages if not s.out.startswith((DOUBT, SIZE)))
    told = flow(replace(ordered, stages=numbers), facts)  # what is NaN is in doubt anyway
    steps, tensors = [], dict.fromkeys(facts.tensors, SINGLE)
    for stage in ordered.stages:
        body = told.defined(stage.body) if stage in numbers else stage.body
        steps.append(_step(stage, {}, {}, number=True, arithmetic=QUICK, bits=tensors, body=body))
    return Schedule(name, ordered, tuple(steps), "f32")


def device_schedule(name: str, made: Parametrised, facts: Facts) -> Schedule:
    """The code of every stage for float32 arithmetic on a GPU, where `TELLING` alone tell what they lose.

    What arguments are missing is not left out: of ``exp(x - m)`` it is as many ULP as the difference is large. Where
    all results keep the relative precision of the elementary functions, nobody asks what these lose.

    Args:
        name: of the kernel.
        made: the program, with its free parameters.
        facts: what is known of the operands; options come as pairs.
    """
    program = gathered(lifted(made[0]))
    enough, moderate = relative(program, made[1], facts.light), units(program, made[1])
    program = inverted(program, moderate)
    with computing_in(np.float32, () if enough else TELLING):
        found = _schedule(name, (program, made[1]), DEVICE, ROUGH if enough else COMPENSATED, facts)
    return replace(found, units=frozenset(moderate))


def _schedule(name: str, made: Parametrised, target: str, arithmetic: Arithmetic, facts: Facts,
              known: Loose | None = None) -> Schedule:
    program, families = made
    bits = dict.fromkeys(facts.tensors if target == "f32" else (), SINGLE)
    pairs = dict.fromkeys(facts.options if target == DEVICE else (), True)
    signs: dict[str, str] = {}
    steps = []
    known = known or Loose()
    estimates = _estimates(program) | known.numbers
    used = {base_of(r) for stage in program.stages for r in free_symbols(stage.body)}
    told = flow(program, facts)
    fragile = delicate(program, families, facts.light)
    operands = {s.name for s in program.inputs}
    for stage in program.stages:
        single = stage.out in program.results or stage.out in estimates
        paired = any(pairs.get(n, False) for n in _names(stage.body) & known.exact)
        plain = stage.out in known.plain and not any(isinstance(e, DEAR) for e in parts(stage.body))
        plain = plain and (not paired or stage.out in known.settled)
        body = told.defined(known.plain[stage.out] if plain else stage.body)
        halved = target == DEVICE and falls(body, operands)  # float64 has bits enough below a float32
        exact = replace(arithmetic, renewed=stage.out in fragile, halved=halved, woven=halved)
        used_for = (CARRIED if paired else PLAIN) if plain else exact
        if target == DEVICE and stage.op == "scale":
            used_for, bits[stage.out] = PLAIN, POWER_OF_TWO  # any number near it would do as well
        step = _step(stage, pairs, signs, single, used_for, {} if plain else bits, body)
        if stage.out in known.ones and step.pair and len(step.core.results) == 1:
            step = replace(step, one=True)
        pairs[stage.out] = step.pair
        if stage.out in used and is_nonnegative(stage.body, signs):
            signs[stage.out] = "nonnegative"
        steps.append(step)
    return Schedule(name, program, tuple(steps), target)


def _estimates(program: Program) -> set[str]:
    """The sums that are only rounded to a number near them, which any other would do as well for."""
    found = {s.out for s in program.stages if s.op == "sum"} - set(program.results)
    for stage in program.stages:
        near = {e: sp.S.Zero for e in parts(stage.body) if isinstance(e, nearest)}
        found -= {base_of(r) for r in free_symbols(replaced(stage.body, near))}
    return found


def _step(stage: Stage, pairs: Mapping[str, bool], signs: Mapping[str, str], number: bool, arithmetic: Arithmetic,
          bits: Mapping[str, int], body: Expr) -> Step:
    """The code of a stage.

    Args:
        stage: what is computed.
        pairs: whether operands and stages come with what they are missing.
        signs: what is known of those of stages.
        number: whether its result is rounded.
        arithmetic: to compute it in.
        bits: how many some operands and stages have.
        body: the stage's own, or another one of the same value that is to be computed.
    """
    body, back = opened(body, signs)
    taken = {s: back.get(s, s) for s in sorted(body.free_symbols, key=lambda s: sp.default_sort_key(back.get(s, s)))}
    bound, parameters = {}, []
    for symbol, what in taken.items():
        name = parameter(what)
        paired = pairs.get(base_of(what), False)
        low = var(name + LOW) if paired and arithmetic.compensated else None
        bound[symbol] = Pair(var(name), low, bits.get(base_of(what), DOUBLE))
        parameters += [name, name + LOW] if paired else [name]
    made = lower(body, bound, arithmetic)
    # an elementary function of an entry, where its own rounding is not tracked, is as good as one number
    rough = arithmetic.short or not arithmetic.tracked
    single = number or stage.op in SINGLES or (rough and bool(stage.axes) and _is_dear(stage.body))
    results = (arithmetic.rounded(made),) if single else _both(made, stage, arithmetic)
    core = verify(ScalarFunction(stage.out, tuple(parameters), results))
    pair = not number and stage.op not in SINGLES and (len(results) == 2 or bool(stage.over))
    return Step(stage, core, tuple(taken.values()), pair)


def _names(body: Expr) -> set[str]:
    return {base_of(r) for r in free_symbols(body)}


def _is_dear(body: Expr) -> bool:
    return isinstance(body, DEAR)


def _both(pair: Pair, stage: Stage, arithmetic: Arithmetic) -> tuple[Node, ...]:
    """A number and what it is missing, which of an infinity is none: else it would take the whole row's with it."""
    if pair.low is None:
        return (pair.high,)
    if stage.op == "sum":  # which rounds in the end
        if not arithmetic.tracked and all(isinstance(e, ALGEBRA) for e in parts(stage.body)):
            return pair.high, pair.low  # of float32 numbers: nothing is missing unless the sum is no number, too
        return pair.high, select(node("eq", pair.low - pair.low, ZERO), pair.low, ZERO)
    pair = arithmetic.normal(pair)
    known = pair.low or ZERO
    return pair.high, select(node("eq", pair.high - pair.high, ZERO), known, ZERO)


def parameter(e: Expr) -> str:
    """What a core calls something that it takes."""
    if is_index(e):
        return f"i_{_plain(e.name)}"
    name = base_of(e)
    if isinstance(e, Indexed):
        return "_".join([name, *(_place(i) for i in places(e))])
    return f"n_{_plain(name.strip('|'))}" if name.startswith("|") else name


def _place(e: Expr) -> str:
    if is_index(e):
        return _plain(e.name)
    return str(e) if e.is_Integer else parameter(e)


def _plain(name: str) -> str:
    """The name of an index or of an axis as part of a parameter's."""
    return name.replace(".", "").replace(LISTED, "each_")
