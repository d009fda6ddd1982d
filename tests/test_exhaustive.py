"""Exhaustive sweeps: the reference is proved, single wrong results are found, interrupted work is taken up again."""

import io
import itertools
import json
import tokenize
from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import sympy as sp

from symgen import build_keys, exhaustive, reference, resources, sweep, ulp
from symgen.backends.latex_accuracy import accuracy
from symgen.build_compile import kernel_digest
from symgen.build_tokens import tokens
from symgen.certificate import Certificate, Row, coverage
from symgen.certify import knowledge_of
from symgen.certify_cases import Case
from symgen.certify_survey import Knowledge
from symgen.enclosure import ProofError
from symgen.exhaustive import Found, Part, State, Subject, exhaust, keep_exhaustive, parts, run
from symgen.heads import first_max, first_min
from symgen.oracle import Oracle
from symgen.pipeline import derive
from symgen.reference import ABOVE, BELOW, CONSTANT, EXACT, LARGEST, Builder, NotCoveredError
from symgen.spec import load
from symgen.ulp import from_ordinals, to_ordinals

X = sp.Symbol("x", real=True)
SILU = X / (1 + sp.exp(-X))
ONE, TWO = (int(v) for v in to_ordinals([1.0, 2.0], "float32"))


def rounded(formula, order=0):
    """A perfect kernel: the oracle's value, rounded once."""
    oracle = Oracle(formula, X, 2)

    def kernel(x):
        (truth,) = oracle.truth(x.astype(np.float64), orders=(order,))
        return ulp.rounded(truth, "float32").astype(np.float32)

    return kernel


def settle(formula, order=0):
    return partial(exhaustive.decided, Oracle(formula, X, 2), order, {})


@pytest.fixture(scope="module")
def table():
    return Builder([(SILU, 0)], X, 0, {}, 1).table(ONE, ONE + 20_000)


class Kernel:
    """A kernel that is exact but where it is told to be wrong, cheap enough for many inputs."""

    def __init__(self, wrong=None):
        self.wrong = wrong or {}

    def __call__(self, x):
        wide = x.astype(np.longdouble)
        result = (wide / (1 + np.exp(-wide))).astype(np.float32)
        for at, value in self.wrong.items():
            result[x == np.float32(at)] = value
        return result


@pytest.mark.parametrize("formula", [SILU, sp.tanh(X), X - sp.tanh(X), sp.log(1 + sp.exp(X)), sp.exp(-X * X)])
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_reference_is_as_near_to_the_oracle_as_it_says(formula, order, sign):
    found = Builder([(formula, 0)], X, order, {}, sign).table(*map(int, to_ordinals([2.0**-10, 4.0], "float32")))
    ordinals = np.unique(np.concatenate([found.first, found.last, (found.first + found.last) // 2]))
    where = np.searchsorted(found.last, ordinals)
    x = sign * from_ordinals(ordinals, "float32")
    (truth,) = Oracle(formula, X, 2).truth(x, orders=(order,))
    t = (x - found.places[where, 0]) * found.places[where, 1]
    y = sum(found.coefficients[where, k] * t**k for k in range(reference.COUNT))
    kind = found.kind[where]
    error = np.abs(y - truth.high) / ulp.ulp(truth.high, "float32")
    assert np.all(error[kind != CONSTANT] <= found.bound[where][kind != CONSTANT] + 2.0**-26)
    assert found.proved <= reference.TARGET


def test_every_float_of_a_range_has_exactly_one_piece(table):
    assert table.first[0] == ONE
    assert table.last[-1] == ONE + 20_000
    assert np.all(table.first[1:] == table.last[:-1] + 1)


def test_results_below_the_normal_numbers_know_their_side():
    least = 8, int(to_ordinals([2.0**-130], "float32")[0])
    assert set(Builder([(SILU, 0)], X, 0, {}, 1).table(*least).kind) == {ABOVE}
    assert set(Builder([(SILU, 0)], X, 0, {}, -1).table(*least).kind) == {ABOVE}
    assert set(Builder([(X / 2 - X**2, 0)], X, 0, {}, 1).table(*least).kind) == {BELOW}
    assert set(Builder([(X / 2, 0)], X, 0, {}, 1).table(*least).kind) == {EXACT}


def test_ties_below_the_normal_numbers_are_decided_by_the_side():
    first, last = 8, 4103
    table = Builder([(SILU, 0)], X, 0, {}, 1).table(first, last)
    up = lambda x: from_ordinals((to_ordinals(x, "float32") + 1) // 2, "float32").astype(np.float32)  # noqa: E731
    right = sweep.sweep(up, table, first, last, settle(SILU))
    even = sweep.sweep(lambda x: (x.astype(np.float64) / 2).astype(np.float32), table, first, last, settle(SILU))
    assert (right.misrounded, right.error) == (0, 0.5)
    assert even.misrounded == 1024  # every second tie is rounded down
    assert right.settled == even.settled == 0


LINES = [  # formula, order, p, q, r of (p x + q) / r, first input: many results are ties, or next to nothing beside one
    (X / 6 + sp.Rational(1, 2), 0, 1, 3, 6, -0.03),
    (X * (X + 3) / 6, 1, 2, 3, 6, -0.017),
    (first_min(1, first_max(0, X / 6 + sp.Rational(1, 2))), 0, 1, 3, 6, 0.1),
    (X + sp.Rational(1, 2), 0, 2, 1, 2, -8388600.0),
    (sp.Rational(0.01) * X, 0, Fraction(0.01), 0, 1, -2.79e-38),
]


@pytest.mark.parametrize(("formula", "order", "p", "q", "r", "start"), LINES)
def test_ties_of_a_straight_line_are_decided_exactly(formula, order, p, q, r, start):
    first = int(to_ordinals([abs(start)], "float32")[0])
    last = first + 20_000
    table = Builder([(formula, 0)], X, order, {}, 1 if start > 0 else -1).table(first, last)

    def kernel(x, half):
        """Quotients by the spacing, in integers; ties are left to a function."""
        exact = [(p * Fraction(float(v)) + q) / r for v in x]
        steps = [Fraction(float(ulp.ulp([float(e)], "float32")[0])) for e in exact]
        counts = [e / s for e, s in zip(exact, steps, strict=True)]
        whole = [half(c) if c.denominator == 2 else round(c) for c in counts]
        return np.array([float(n * s) for n, s in zip(whole, steps, strict=True)], np.float32)

    right = sweep.sweep(partial(kernel, half=round), table, first, last, None)
    assert set(table.kind) == {EXACT}
    assert (right.inputs, right.misrounded, right.error) == (20_001, 0, pytest.approx(0.5, abs=1e-6))
    wrong = sweep.sweep(partial(kernel, half=lambda c: 2 * c - round(c)), table, first, last, None)
    assert (wrong.misrounded > 200) == (q != 0)


def test_a_line_that_is_not_one_is_found_below_the_normal_numbers():
    first, last = 1 << 20, (1 << 20) + 5000
    table = Builder([(sp.Rational(0.01) * X, 0)], X, 0, {}, 1).table(first, last)
    beside = sweep.sweep(lambda x: (x.astype(np.float64) / 100).astype(np.float32), table, first, last, None)
    assert beside.misrounded > 20  # 1/100 rounds some inputs to the other side of a tie


def test_the_oracle_tells_a_tie_from_what_lies_beside_it():
    odd = from_ordinals([9, 11], "float32")
    assert np.all(settle(SILU)(odd).residual > 0)
    assert np.all(settle(X / 2 - X**2)(odd).residual < 0)
    assert np.all(settle(X * (X + 3) / (2 * X + 6))(odd).residual == 0)


def test_overflow_and_underflow_are_proved_constants():
    table = Builder([(sp.exp(X), 0)], X, 0, {}, 1).table(int(to_ordinals([89.0], "float32")[0]), LARGEST)
    assert set(table.kind) == {CONSTANT}
    assert set(table.coefficients[:, 0]) == {np.inf}
    table = Builder([(sp.exp(X), 0)], X, 0, {}, -1).table(int(to_ordinals([105.0], "float32")[0]), LARGEST)
    assert set(table.coefficients[:, 0]) == {0.0}


def test_a_whole_binade_of_a_correct_kernel_has_no_error_above_half():
    table = Builder([(SILU, 0)], X, 0, {}, 1).table(ONE, TWO - 1)
    found = sweep.sweep(Kernel(), table, ONE, TWO - 1, settle(SILU))
    assert found.inputs == 2**23
    assert (found.misrounded, found.nonfinite, found.zeros) == (0, 0, 0)
    assert 0.499 < found.error <= 0.5


@pytest.mark.parametrize(
    ("value", "count"),
    [(np.nan, "nonfinite"), (np.inf, "nonfinite"), (0.0, "zeros"), ("next", "misrounded")],
)
def test_one_wrong_result_among_twenty_thousand_is_found(table, value, count):
    at = float(from_ordinals([ONE + 12_345], "float32")[0])
    value = np.nextafter(Kernel()(np.float32([at]))[0], np.float32(9)) if value == "next" else value
    found = sweep.sweep(Kernel({at: value}), table, ONE, ONE + 20_000, settle(SILU))
    assert getattr(found, count) == found.misrounded == 1
    assert found.at == at
    assert found.error > 0.5
    right = sweep.sweep(Kernel(), table, ONE, ONE + 20_000, settle(SILU))
    assert (right.misrounded, right.inputs) == (0, found.inputs)


def test_a_wrong_coefficient_of_the_reference_shows_as_an_error_of_a_right_kernel(table):
    spoiled = table.coefficients.copy()
    spoiled[0, 3] *= 1 + 2.0**-6
    spoiled[0, 1] *= 1 + 2.0**-20
    found = sweep.sweep(Kernel(), replace(table, coefficients=spoiled), ONE, ONE + 20_000, settle(SILU))
    assert found.misrounded > 0


def test_a_form_that_is_not_equal_to_the_definition_is_refused():
    wrong = X * sp.exp(X) / (1 + sp.exp(X)) * (1 + sp.Rational(1, 10**9))
    with pytest.raises(ProofError, match="is not what"):
        Builder([(SILU, 0), (wrong, 0)], X, 0, {}, -1).table(*map(int, to_ordinals([60.0, 80.0], "float32")))


def test_an_oscillation_is_not_covered_and_the_message_says_where():
    with pytest.raises(NotCoveredError, match="around"):
        Builder([(sp.sin(30 * X), 0)], X, 0, {}, 1).table(*map(int, to_ordinals([2.0**20, 2.0**30], "float32")))


# --- parts, state, certificates -------------------------------------------------------------------------------------

CASE = Case(expression=SILU, operand="x", symbol=X)


class Silu(Kernel):
    def grad(self, x, order=1):
        return rounded(SILU, order)(x)


def test_parts_cover_every_input_of_the_domain_once():
    whole = [p for p in parts([CASE]) if p.output == "grad" and p.sign > 0]
    assert whole[0].first == 1
    assert whole[-1].last == LARGEST
    assert all(a.last + 1 == b.first for a, b in itertools.pairwise(whole))
    above = replace(CASE, limits=((">", sp.Integer(0)), ("<=", sp.Integer(2))))
    some = [p for p in parts([above]) if p.output == "value" and p.sign]
    assert {p.sign for p in some} == {1}
    assert sum(p.inputs for p in some) == TWO


def test_a_part_tells_the_neighbourhood_of_a_root_from_the_rest():
    root = int(to_ordinals([1.2784645557403564], "float32")[0])
    found = run(Subject(Silu(), (CASE,)), Part(0, "grad", 1, -1, root - 1500, root + 1500))
    assert found.near.inputs == 2 * exhaustive.NEAR + 1
    assert found.away.inputs == 1000
    assert found.near.misrounded == found.away.misrounded == 0


def test_zeros_and_every_nan_are_measured():
    assert run(Subject(Silu(), (CASE,)), Part(0, "value", 0, 0)).near.inputs == 2
    lost = Silu({np.nan: 0})
    lost.__class__ = type("Lost", (Silu,), {"__call__": lambda self, x: np.nan_to_num(Kernel()(x))})
    assert not run(Subject(lost, (CASE,)), Part(0, "value", 0, 0)).nan


def test_state_is_taken_up_again_by_the_same_kernel_only(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    part = parts([CASE])[0]
    found = run(Subject(Silu(), (CASE,)), replace(part, output="value", order=0, first=ONE, last=ONE + 100))
    State.load("silu", "hash", [CASE]).put(part, found)
    assert State.load("silu", "hash", [CASE]).done == {part.key: found}
    assert State.load("silu", "other", [CASE]).done == {}


def test_the_rows_of_a_sweep_replace_the_samples_and_stay_while_the_kernel_does():
    sample = Certificate("silu", "k", tuple(Row(o, d) for o in ("value", "grad") for d in ("float32", "float64")))
    tally = sweep.Tally(inputs=10, error=0.4, at=1.0, bound=1e-7)
    done = {p.key: Found(away=tally) for p in parts([CASE]) if p.output == "value"}
    swept = exhaust(sample, [CASE], done)
    assert [r.exhaustive for r in swept.rows] == [True, False, False, False]
    assert swept.rows[0].inputs == 10 * len(done)
    assert keep_exhaustive(sample, swept).rows[0].exhaustive
    assert not keep_exhaustive(replace(sample, kernel="new"), swept).rows[0].exhaustive
    again = Certificate.from_json(swept.to_json())
    assert again == swept


def test_what_cannot_be_swept_stays_a_sample_and_says_why():
    sample = Certificate("f", "k", (Row("value", "float32"),))
    done = {p.key: Found(reason="it oscillates") for p in parts([CASE]) if p.output == "value"}
    found = exhaust(sample, [CASE], done)
    assert not found.rows[0].exhaustive
    assert found.notes == ("value float32 is a sample, not exhaustive: it oscillates",)


def test_forms_of_one_side_are_used_on_that_side_only():
    known = Knowledge(sides=((X, 0, 1), (-X, 0, -1), (X**2, 1, 0)))
    subject = Subject(None, (CASE,), {"": known})
    assert subject.formulas(CASE, 0, 1) == ((SILU, 0), (X, 0))
    assert subject.formulas(CASE, 1, -1) == ((SILU, 0), (-X, 0), (X**2, 1))




def test_only_identities_help_to_enclose_a_function():
    derivation = derive(load(resources.specs())["sigmoid"])
    (known,) = knowledge_of(derivation).values()
    for form, done, side in known.sides:
        for sign in (s for s in (-1, 1) if side in (0, s)):
            at = sign * 1.25
            want = Oracle(derivation.variants[0].variant.value, *derivation.variants[0].variant.value.free_symbols)
            assert Oracle(form, *form.free_symbols, 0).ball(at, 0).overlaps(want.ball(at, done)), (form, done, side)


def test_a_certificate_tells_which_dtypes_were_measured_at_every_input():
    swept = Row("value", "float32", sampled=False), Row("value", "float64"), Row("value", "float16", sampled=False)
    content = json.loads(Certificate("f", "k", swept).to_json())
    assert coverage(content) == {"float32": "every input", "float64": "a sample", "float16": "every input"}
    assert "every input of float32, float16" in accuracy(content, ["value"]).scope
    assert not accuracy(json.loads(Certificate("f", "k", swept[1:]).to_json()), ["value"]).scope
    assert coverage(None) == {}


def slow_tokens(text):
    """What Python's own tokenizer finds."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
    found = (t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type not in skipped)
    return [str(t.type) if t.type in {tokenize.INDENT, tokenize.DEDENT} else t.string for t in found
            if not t.string.startswith(('"""', 'r"""'))]  # fmt: skip


def test_tokens_are_those_of_python():
    """Of modules of every template, and of all that they inline."""
    names = ("elementary", "activations/gelu", "activations/softmax", "losses/huber_loss", "losses/info_nce_loss",
             "cuda/activations/gelu", "cuda/losses/cross_entropy", "cuda/losses/nt_xent_loss")  # fmt: skip
    texts = [(resources.generated() / f"{name}.py").read_text(encoding="utf-8") for name in names]
    texts += build_keys.inlined(texts).values()
    assert len(texts) > len(names)
    for text in texts:
        assert tokens(text) == slow_tokens(text)


def test_the_hash_of_a_kernel_is_that_of_what_it_computes():
    code = "import math\n\n\ndef f(x):\n    return math.exp(x)\n"
    plain = kernel_digest({"f.py": code})
    assert kernel_digest({"f.py": "# Key: 17\n" + code.replace("exp(x)", "exp(x)  # why")}) == plain
    assert kernel_digest({"f.py": code.replace("exp", "expm1")}) != plain
    inlining = "from symgen.runtime.intrinsics import fma\n" + code
    assert set(build_keys.inlined([code])) == set()
    assert set(build_keys.inlined([inlining])) == {"runtime/intrinsics.py"}
    assert set(build_keys.inlined(["from .._runtime.trig import sin_product\n"])) == {
        "runtime/intrinsics.py",
        "runtime/trig.py",
    }
