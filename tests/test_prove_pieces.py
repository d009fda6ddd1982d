"""Proofs of fitted pieces: bounds that hold, for every shape; a wrong coefficient is refuted with a point."""

import math
from dataclasses import replace

import pytest
import sympy as sp
from flint import arb

from symgen.approx import fit, split
from symgen.enclosure import Enclosure
from symgen.oracle import Oracle, working_precision
from symgen.pipeline import derive
from symgen.prove_pieces import Claim, NotShownError, RefutedError, bound, claims
from symgen.stabilize.piece import Piece
from symgen.vocabulary import sigmoid, softplus
from tests.rows.test_lower import spec

X = sp.Symbol("x", real=True)
BITS = 54


def claim(formula, piece, lower, upper, order=0, equal=()):
    forms = ((formula, 0), *((form, 0) for form in equal))
    return Claim("f", piece, lower, upper, {side: Enclosure(forms, X, order, {}) for side in (-1, 0, 1)})


def interior():
    p = fit(lambda t: (t + 2).exp(), -0.25, 0.25, BITS)
    return claim(sp.exp(X), Piece("interior", p, centre=2.0), 1.75, 2.25)


def zero():
    p = fit(lambda t: (t - t.tanh()) / (t * t * t), 0.0, 0.5, BITS, step=2)
    return claim(X - sp.tanh(X), Piece("zero", p, power=3), -0.5, 0.5)


def root():
    with working_precision(256):
        high, low = split(arb.pi())
    p = fit(lambda t: (t + arb.pi()).sin() / t, -0.25, 0.25, BITS)
    return claim(sp.sin(X), Piece("root", p, power=1, centre=high, centre_low=low), 2.9, 3.375)


def tail():
    p = fit(lambda t: 1 / (1 + t), 0.0, 2.0**-8, BITS)
    return claim(X / (1 + X), Piece("tail", p), 256.0, math.inf)


def decaying():
    p = fit(lambda t: 1 / (1 + (-(t + 4)).exp()), -1.0, 1.0, BITS)
    return claim(1 / (1 + sp.exp(X)), Piece("decaying", p, centre=4.0, rate=-1.0), 3.0, 5.0, equal=(sigmoid(-X),))


SHAPES = {f.__name__: f for f in (interior, zero, root, tail, decaying)}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_bounded_by_a_little_more_than_its_points_showed(shape):
    one = SHAPES[shape]()
    error, boxes = bound(one)
    measured = one.piece.polynomial.error
    assert measured * 0.9 <= error <= 2 * measured + 2.0**-53 * (shape == "root")
    assert boxes < 10_000


@pytest.mark.parametrize("shape", SHAPES)
def test_the_bound_holds_at_points_that_nobody_fitted(shape):
    one = SHAPES[shape]()
    error, _ = bound(one)
    (definition, _), *_ = one.exact[1].formulas
    oracle = Oracle(definition, X, 0)
    low, high = max(one.lower, -1e3), min(one.upper, 1e3)
    with working_precision(256):
        for k in range(1, 40):
            x = low + (high - low) * k / 40 or 0.125
            truth = oracle.ball(x, 0, bits=200)
            assert abs(one.at(arb(x), 1)[0] / truth - 1) <= error


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("which", [0, -1])
def test_a_wrong_coefficient_is_not_proved(shape, which):
    one = SHAPES[shape]()
    coefficients = list(one.piece.polynomial.coefficients)
    coefficients[which] += 2.0**-30 * coefficients[0] if which == 0 else coefficients[0] * 2.0**-10
    spoiled = replace(one.piece, polynomial=replace(one.piece.polynomial, coefficients=tuple(coefficients)))
    with pytest.raises((RefutedError, NotShownError)):
        bound(replace(one, piece=spoiled))


def test_a_refutation_names_a_point_and_both_values():
    one = interior()
    wrong = replace(one.piece.polynomial, coefficients=(7.0, *one.piece.polynomial.coefficients[1:]))
    with pytest.raises(RefutedError, match=r"at 2\.0 the piece is 6\.99.*the function 7\.38"):
        bound(replace(one, piece=replace(one.piece, polynomial=wrong)))


def test_a_piece_of_a_derivative_is_compared_with_the_derivative():
    p = fit(lambda t: 1 / (1 + (-(t + 4)).exp()), -1.0, 1.0, BITS)
    one = claim(sp.log(1 + sp.exp(X)), Piece("interior", p, centre=4.0), 3.0, 5.0, 1, (softplus(X),))
    assert bound(one)[0] <= 2 * p.error


def test_the_series_of_a_polynomial_starts_at_the_root_between_two_floats():
    """The polynomial is one in the distance from the nearest float, which makes a difference where it is steep."""
    with working_precision(256):
        exact = arb(3).log()
        high, low = split(exact)
    p = fit(lambda t: ((t + high).exp() - 3) / (t + high - exact), -0.25, 0.25, BITS)
    one = claim(sp.exp(X) - 3, Piece("root", p, power=1, centre=high, centre_low=low), high - 0.25, high + 0.25)
    assert bound(one)[0] < 2.0**-53


def test_a_long_tail_takes_boxes_as_wide_as_they_can_be():
    """A width that failed once is not tried again at every octave: halving alone would take 7171 boxes."""
    _, boxes = bound(tail())
    assert boxes < 5000


@pytest.mark.slow
def test_pieces_in_a_difference_of_operands_are_proved_as_functions_of_the_difference(tmp_path):
    """A loss of the difference of two operands has pieces too, and none of them is passed over."""
    op = spec(tmp_path, "input: Tensor, target: Tensor", "d = input - target\nreturn d - tanh(d)", "@loss()")
    derivation = derive(op)
    pieces = [s for o in derivation.variants[0].outputs for r in o.regions for s in r.segments if s.kind == "piece"]
    found = claims(op, derivation.variants[0])
    assert pieces
    assert {s.body for s in pieces} <= {c.piece for c in found}
    assert all(bound(c)[0] <= c.allowed for c in found)
