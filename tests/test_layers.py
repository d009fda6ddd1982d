"""Layers: a sum of products of a tensor and a parameter is recognised, BLAS computes it, and the rest is derived."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest

import symgen.functional as F
from symgen.catalogue import folder
from symgen.layers import generated, layer
from symgen.rows.lower import is_row_function
from symgen.spec import load
from tests.conftest import Symgen

HEAD = '''\
"""Layers, for tests."""

from symgen.spec import Axis, Param, Real, Tensor, activation, exp, sin, sum

C = Axis("C")
J = Axis("J")
K = Axis("K")

'''
DRAW = np.random.default_rng(7)
X, W, B, G = (DRAW.uniform(-1, 1, s) for s in ((3, 4, 5), (6, 5), (6,), (3, 4, 6)))
OMEGA = 30.0


def spec(place: Path, signature: str, body: str) -> Any:
    place.write_text(f'{HEAD}@activation()\ndef made({signature}):\n    """Something."""\n    return {body}\n', "utf-8")
    return load(place)["made"]


# -- what is recognised -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signature", "body", "first", "rest"),
    [
        ("x: Tensor[J], w: Param[K, J]", "sin(sum(w * x, J))", False, "sin(product)"),
        ("x: Tensor[J], w: Param[J, K]", "sin(sum(w * x, J))", True, "sin(product)"),
        ("a: Tensor[J], product: Param[K], w: Param[K, J]", "sum(a * w, J) * product", False, "product*product_1"),
        ("x: Tensor[J], w: Param[K, J], beta: Real = 1", "exp(beta * sum(w * x, J)) + sum(x * w, J)", False,
         "product + exp(beta*product)"),
    ],
)
def test_a_product_of_matrices_is_found(tmp_path: Path, signature: str, body: str, first: bool, rest: str) -> None:
    """Whatever the operands are called and in which order the axes of the matrix are; the epilogue is elementwise."""
    op = spec(tmp_path / "made.py", signature, body)
    found = layer(op)
    assert found is not None
    assert (found.first, str(found.epilogue.variants[0].value)) == (first, rest)
    assert not is_row_function(generated(op))
    assert generated(op).whole == op


def test_an_epilogue_may_be_one_of_rows(tmp_path: Path) -> None:
    body = "exp(sum(w * x, J)) / sum(exp(sum(w * x, J)), K)"
    found = layer(spec(tmp_path / "made.py", "x: Tensor[J], w: Param[K, J]", body))
    assert found is not None
    assert is_row_function(found.epilogue)
    assert "w[" not in str(found.epilogue.variants[0].value)


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        ("x: Tensor[J], w: Param[J]", "sin(sum(w * x, J))"),  # no axis is left
        ("x: Tensor[J], y: Tensor[J], w: Param[J]", "w * sum(x * y, J)"),  # two tensors
        ("x: Tensor[J], w: Param[K, J]", "sin(sum(w * x**2, J))"),  # no product of two operands
        ("x: Tensor[J], w: Param[K, J]", "sin(sum(w * x, J)) * sum(x, J)"),  # the tensor is read elsewhere
        ("x: Tensor[J], w: Param[K, J], v: Param[K, J]", "sum(w * x, J) * sum(v * x, J)"),  # two matrices
    ],
)
def test_other_sums_stay_what_they_are(tmp_path: Path, signature: str, body: str) -> None:
    op = spec(tmp_path / "made.py", signature, body)
    assert layer(op) is None
    assert generated(op) is op


def test_the_catalogue_has_one_layer() -> None:
    """No other formula of the catalogue is taken apart: sums of two tensors keep their pairs."""
    assert {n for n, op in load(folder()).items() if layer(op) is not None} == {"siren"}


# -- values and derivatives -------------------------------------------------------------------------------------------


def exact(x: Any, weight: Any, bias: Any, omega: float) -> tuple[Any, Any]:
    """The argument of the sine in rational numbers, and the sum of the sizes of its terms."""
    terms = [[[Fraction(float(w)) * Fraction(float(v)) for w, v in zip(row, one, strict=True)] for row in weight]
             for one in x]
    inner = [[(sum(t, Fraction(0)) + Fraction(float(b))) * Fraction(omega) for t, b in zip(one, bias, strict=True)]
             for one in terms]
    sizes = [[float(sum(map(abs, t))) for t in one] for one in terms]
    return inner, np.array(sizes)


def real(q: Fraction) -> Any:
    return mpmath.mpf(q.numerator) / q.denominator


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1.0, 1e-4, 100.0])
def test_values_and_gradients_are_within_what_blas_allows(dtype: Any, scale: float) -> None:
    """Against 50 digits: the error of the product, by the slope of what follows, and a rounding of each step after it.

    The bound of a product of n terms is n u sum(|w| |x|), whatever BLAS does.
    """
    x, w, b, g = ((a * s).astype(dtype) for a, s in zip((X[0], W, B, G[0]), (scale, 0.1, 0.1, 1.0), strict=True))
    u, n = float(np.finfo(dtype).eps) / 2, x.shape[1]
    inner, sizes = exact(x, w, b, OMEGA)
    with mpmath.workdps(50):
        sines = np.array([[float(mpmath.sin(real(q))) for q in row] for row in inner])
        slopes = np.array([[float(OMEGA * mpmath.cos(real(q))) for q in row] for row in inner])
        sums = np.array([[float(real(q)) for q in row] for row in inner]) / OMEGA
    off = n * u * sizes
    assert np.all(np.abs(F.siren(x, w, b) - sines) <= OMEGA * off + 2 * u)
    bend = OMEGA**2 * off + 2 * u * OMEGA  # of the slope
    dx, dw, db, dq = F.siren.vjp(g, x, w, b, wrt=("x", "weight", "bias", "omega_0"))
    size, pulled = np.abs(g), slopes * g
    for found, a, c, terms in ((dx, pulled, w, 6), (dw, pulled.T, x, 4)):
        wrong = (size * bend) if found is dx else (size * bend).T
        assert np.all(np.abs(found - a @ c) <= wrong @ np.abs(c) + terms * u * np.abs(a) @ np.abs(c))
    assert np.all(np.abs(db - pulled.sum(0)) <= (size * bend).sum(0) + 2 * u * np.abs(pulled).sum(0))
    wanted = (g * sums * slopes / OMEGA).sum()
    assert abs(dq - wanted) <= (size * (np.abs(sums) * bend / OMEGA + off + 4 * u * np.abs(sums))).sum()


def test_second_derivatives_are_differences_of_gradients() -> None:
    """In the tensor, in the matrix and in what is beside them, at a cotangent of every shape that broadcasts."""
    g, h = G[0, 0], 1e-6
    operands = {"x": X, "weight": W, "bias": B}
    for name, bias in (("x", B), ("weight", B), ("bias", B), ("bias", np.array(0.25))):
        at = {**operands, "bias": bias}
        v = DRAW.normal(size=at[name].shape)
        found = F.siren.hvp(v, **at, wrt=name, g=g, omega_0=2.0)
        ends = [F.siren.vjp(g, **{**at, name: at[name] + s * v}, omega_0=2.0, wrt=name) for s in (h, -h)]
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(F.siren.hvp(X, X, W), F.siren.hvp(X, X, W, g=np.ones((3, 4, 6)), wrt="x"))


def test_what_is_certified_is_what_runs() -> None:
    """A layer is its epilogue, bit by bit, at the product that BLAS gives."""
    product = X @ W.T
    np.testing.assert_array_equal(F.siren(X, W, B), F.siren.epilogue(product, B))
    np.testing.assert_array_equal(F.siren.vjp(G, X, W, B)[2], F.siren.epilogue.vjp(G, product, B)[1])
    slope = F.siren.epilogue.grad(product, B)
    np.testing.assert_array_equal(F.siren.vjp(G, X, W, B)[0], (G * slope) @ W)


# -- calls ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [lambda a: a, np.asfortranarray, lambda a: np.repeat(a, 2, -1)[..., ::2],
                                  lambda a: a[..., ::-1].copy()[..., ::-1]])
def test_arrays_may_lie_as_they_like(view: Callable[[Any], Any]) -> None:
    """Strides change nothing but what BLAS rounds."""
    found = [F.siren(view(X), view(W), view(B)), *F.siren.vjp(view(G), view(X), view(W), view(B))]
    for a, b in zip(found, [F.siren(X, W, B), *F.siren.vjp(G, X, W, B)], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_shapes() -> None:
    """Any number of leading axes or none, no samples, no terms, a bias for all, cotangents that broadcast."""
    np.testing.assert_allclose(F.siren(X[0, 0], W, B), F.siren(X, W, B)[0, 0], rtol=1e-12, atol=1e-12)
    for lead in ((0,), (2, 0), (1, 1, 2)):
        x = np.ones((*lead, 5))
        assert F.siren(x, W, B).shape == (*lead, 6)
        shapes = [a.shape for a in F.siren.vjp(np.ones((*lead, 6)), x, W, B)]
        assert shapes == [x.shape, W.shape, B.shape]
    np.testing.assert_array_equal(F.siren(np.ones((3, 0)), np.ones((2, 0)), np.ones(2)), np.full((3, 2), F.sine(1.0)))
    np.testing.assert_array_equal(F.siren.vjp(np.ones((0, 6)), np.ones((0, 5)), W)[1], np.zeros((6, 5)))
    np.testing.assert_array_equal(F.siren(X, W, 0.5), F.siren(X, W, np.full(6, 0.5)))
    for g in (1.0, np.ones(6), np.ones((4, 1))):
        whole = F.siren.vjp(np.broadcast_to(g, G.shape), X, W)
        for a, b in zip(F.siren.vjp(g, X, W), whole, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(F.siren(X.tolist(), W.tolist(), None), F.siren(X, W))
    np.testing.assert_array_equal(F.siren(input=X, weight=W), F.siren(X, W))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_dtypes(dtype: Any) -> None:
    """Each dtype gets its own back; half precision is computed in float64 and rounded once."""
    arrays = [a.astype(dtype) for a in (G, X, W, B)]
    found = [F.siren(*arrays[1:]), *F.siren.vjp(*arrays)]
    assert {a.dtype for a in found} == {np.dtype(dtype)}
    if np.dtype(dtype).itemsize == 2:
        wide = [a.astype(np.float64) for a in arrays]
        for a, b in zip(found, [F.siren(*wide[1:]), *F.siren.vjp(*wide)], strict=True):
            np.testing.assert_array_equal(a, b.astype(dtype))


def test_outputs() -> None:
    """Results go where they are told, the operands among them."""
    out = np.empty(G.shape)
    assert F.siren(X, W, B, out=out) is out
    np.testing.assert_array_equal(out, F.siren(X, W, B))
    places = (np.empty_like(X), None)
    found = F.siren.vjp(G, X, W, out=places)
    assert found[0] is places[0]
    np.testing.assert_array_equal(found[0], F.siren.vjp(G, X, W)[0])
    x = X.copy()
    F.siren.hvp(X, x, W, out=x)
    np.testing.assert_array_equal(x, F.siren.hvp(X, X, W))


def test_specials() -> None:
    """A sample that holds NaN or infinity gives NaN, and no other does; nothing warns."""
    x = X.copy()
    x[0, 0, 1], x[1, 2, 3] = np.nan, np.inf
    with np.errstate(all="raise"):
        found = F.siren(x, W, B)
    assert np.argwhere(np.isnan(found).all(-1)).tolist() == [[0, 0], [1, 2]]
    assert np.isnan(found).sum() == 12


def test_bad_input_is_refused() -> None:
    """Each error names the operand, what it has and what was expected."""
    for error, words, call in [
        (ValueError, r"weight has shape \(5, 6\); expected \(O, 5\) for x of shape \(3, 4, 5\)",
         lambda: F.siren(X, W.T)),
        (ValueError, r"weight has shape \(5,\); expected \(O, 5\)", lambda: F.siren(X, W[0])),
        (ValueError, r"x has shape \(\); it needs an axis I", lambda: F.siren(1.0, W)),
        (ValueError, r"bias has shape \(5,\); expected .*\(6,\)", lambda: F.siren(X, W, B[:5])),
        (ValueError, r"g has shape \(3, 4, 5\)", lambda: F.siren.vjp(X, X, W)),
        (ValueError, r"g has shape \(3, 4, 5\)", lambda: F.siren.hvp(X, X, W, g=X)),
        (ValueError, r"v has shape \(6, 5\); expected that of x", lambda: F.siren.hvp(W, X, W)),
        (ValueError, "wrt must name one of x, weight or bias", lambda: F.siren.hvp(B, X, W, B, wrt="omega_0")),
        (ValueError, r"g has shape \(3, 4, 5\)", lambda: F.siren.hvp(B, X, W, B, wrt="bias", g=X)),
        (ValueError, "no derivative in 'weigth'; .*did you mean 'weight'",
         lambda: F.siren.vjp(G, X, W, wrt="weigth")),
        (ValueError, "same argument twice", lambda: F.siren.vjp(G, X, W, wrt=("x", "x"))),
        (TypeError, "wrt must be the name", lambda: F.siren.vjp(G, X, W, wrt=3)),
        (TypeError, "missing 'weight'", lambda: F.siren(X)),
        (TypeError, "weight is a NoneType", lambda: F.siren(X, None)),
        (TypeError, "unexpected keyword argument 'axis'", lambda: F.siren(X, W, axis=0)),
        (TypeError, "no common dtype", lambda: F.siren(X.astype(np.float16), W.astype(ml_dtypes.bfloat16))),
        (ValueError, "out has shape", lambda: F.siren(X, W, out=np.empty(3))),
    ]:
        with pytest.raises(error, match=words):
            call()


class OnDevice:
    """What a library for GPUs hands around."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": (3, 5), "typestr": "<f4", "data": (0, False), "version": 3}


def test_a_gpu_is_for_the_epilogue() -> None:
    """The layer itself is refused in words that say what to do; what follows the product has kernels."""
    for call in (lambda: F.siren.cuda, lambda: F.siren(OnDevice(), W), lambda: F.siren.vjp(G, X, weight=OnDevice())):
        with pytest.raises(AttributeError, match=r"product of x and weight|that of x and weight .*siren.epilogue.cuda"):
            call()
    assert "siren.epilogue" in repr(F.siren.epilogue.cuda)


def test_a_layer_is_an_object_like_other_kernels() -> None:
    """It pickles, as does its epilogue, shows its signature, and says what it lacks."""
    for one in (F.siren, F.siren.vjp, F.siren.hvp, F.siren.epilogue, F.siren.epilogue.grad):
        assert pickle.loads(pickle.dumps(one)) is one
        assert copy.deepcopy(one) is one
    assert {"vjp", "hvp", "epilogue", "warm"} <= set(dir(F.siren))
    assert "grad" not in dir(F.siren)
    assert sum(F.siren.warm("float32")) > 0
    with pytest.raises(AttributeError, match=r"siren\.epilogue takes numbers"):
        _ = F.siren.scalar
    with pytest.raises(AttributeError, match="no attribute 'grad'"):
        _ = F.siren.grad
    assert "BLAS" in str(F.siren.__doc__)


def test_layers_of_a_project_of_your_own(tmp_path: Path, symgen: Symgen) -> None:
    """Built beside their runtime: a matrix that comes the other way round, and an epilogue of rows."""
    (tmp_path / "specs").mkdir()
    pyproject = '[project]\nname = "own"\nversion = "0.1"\n\n[tool.symgen]\nspecs = "specs"\njobs = 1\n'
    (tmp_path / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    body = "exp(sum(w * x, J)) / sum(exp(sum(w * x, J)), K)"
    spec(tmp_path / "specs" / "made.py", "x: Tensor[J], w: Param[J, K]", body)
    done = symgen("build", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    sys.path.insert(0, str(tmp_path))
    try:
        from own.kernels import made
    finally:
        sys.path.remove(str(tmp_path))
    w, v = W.T.copy(), DRAW.normal(size=X.shape)
    np.testing.assert_array_equal(made(X, w), F.softmax(X @ w))
    dx, dw = made.vjp(G, X, w)
    pulled = F.softmax.vjp(G, X @ w)
    np.testing.assert_allclose(dx, pulled @ w.T, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dw, np.einsum("abj,abk->jk", X, pulled), rtol=1e-12, atol=1e-14)
    found, h = made.hvp(v, X, w, g=G), 1e-6
    ends = [made.vjp(G, X + s * v, w, wrt="x") for s in (h, -h)]
    np.testing.assert_allclose(found, (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-8)
    assert made.vjp(G, X, w, wrt="w").shape == w.shape
