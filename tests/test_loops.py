"""Graphs as machine code: the same bits as NumPy's operations give, at every kind of number and every length."""

import numpy as np
import pytest

from symgen.elementary import SUFFIXES, catalogue, evaluate, graph_of
from symgen.kernel import OPERATIONS, ScalarFunction, const, node, var
from symgen.loops import BLOCK, loop

SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 2.0**-1022, 1.7976931348623157e308)


def numbers(count, width):
    random = np.random.default_rng(count)
    bits = random.integers(0, 1 << 64, size=(width, count), dtype=np.uint64).view(np.float64)
    near = random.normal(size=(width, count)) * np.exp(3 * random.normal(size=count))
    special = random.choice(SPECIAL, size=(width, count))
    return list(np.concatenate([bits, near, special], axis=1))


def same(a, b):
    return bool(((a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))).all())


PRIMITIVES = [  # but for what GPUs alone compute, in float32
    name + SUFFIXES[form] for name, spec in catalogue().items() for form in SUFFIXES
    if form != "single" and (form != "medium" or spec.medium)
]


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_elementary_functions_have_the_bits_that_numpy_gives_their_graphs(primitive):
    graph = graph_of(primitive)
    arrays = numbers(1001, len(graph.parameters))
    assert same(evaluate(primitive, tuple(arrays)), np.ascontiguousarray(graph.evaluate(arrays)[0]))


X, Y, Z = map(var, "xyz")
FLAG = node("lt", X, Y)


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op not in ("const", "var", "call", "inverse")])
def test_every_operation_does_what_numpy_does(op):
    takes, gives = OPERATIONS[op].takes, OPERATIONS[op].gives
    given = iter((X, Y, Z))
    flags = iter((FLAG, node("eq", Y, Z)))
    made = node(op, *(next(flags) if kind == "b" else next(given) for kind in takes))
    if gives == "b":
        made = node("select", made, const(1.0), const(-1.0))
    arrays = numbers(333, 3)
    (found,) = loop(["x", "y", "z"], [made])(*arrays)
    with np.errstate(all="ignore"):
        (wanted,) = ScalarFunction("f", ("x", "y", "z"), (made,)).evaluate(arrays)
    assert same(found, np.ascontiguousarray(wanted))


@pytest.mark.parametrize("length", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3])
def test_any_length_is_done_to_its_end(length):
    x = np.arange(float(length))
    found = loop(["x"], [X + 1.0, X * X])(x)
    assert [f.tolist() for f in found] == [(x + 1).tolist(), (x * x).tolist()]


def test_shapes_broadcast():
    (found,) = loop(["x", "y"], [X - Y])(np.arange(3.0)[:, None], np.arange(4.0))
    assert found.tolist() == (np.arange(3.0)[:, None] - np.arange(4.0)).tolist()
