"""Axes, indices and reductions: enough of the language for rows and losses to load."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp

from symgen.heads import Cases
from symgen.rows.indices import loops
from symgen.spec import LANGUAGE, Op, load

HEADER = f"from symgen.spec import {', '.join(sorted(LANGUAGE))}\n"
AXES = 'C = Axis("C"); D = Axis("D"); K = Axis("K", at=1); P = Axis("P", at="1:")\n'


def spec(signature: str, body: str, decorator: str = "@activation()", name: str = "f") -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f'{decorator}\ndef {name}({signature}):\n    """Something."""\n{lines}\n'


def traced(folder: Path, signature: str, body: str, decorator: str = "@activation()") -> Op:
    path = folder / "f.py"
    path.write_text(HEADER + AXES + spec(signature, body, decorator), encoding="utf-8")
    return load(path)["f"]


def value(folder: Path, body: str, signature: str = "x", decorator: str = "@activation()") -> sp.Expr:
    """The value of the only variant."""
    (variant,) = traced(folder, signature, body, decorator).variants
    return variant.value


def indexed(name: str, *indices: str) -> sp.Expr:
    symbols = [sp.Symbol(i, integer=True, nonnegative=True) for i in indices]
    return sp.IndexedBase(name, real=True)[tuple(symbols)]


def total(body: sp.Expr, index: str) -> sp.Expr:
    axis = index.partition(".")[0]
    bound = sp.Symbol(index, integer=True, nonnegative=True)
    return sp.Sum(body, (bound, 0, sp.Symbol(f"|{axis}|", integer=True, positive=True) - 1))


def test_softmax_in_both_notations(tmp_path: Path) -> None:
    """The axis form and the index form are the same expression."""
    expected = sp.exp(indexed("x", "C")) / total(sp.exp(indexed("x", "C.1")), "C.1")
    assert value(tmp_path, "p = exp(x)\nreturn p / sum(p, C)", "x: Tensor[C]") == expected
    assert value(tmp_path, "return [exp(x[i]) / sum(exp(x[k]) for k in C) for i in C]", "x: Tensor[C]") == expected


def test_reductions_name_indices_by_depth(tmp_path: Path) -> None:
    """Nested reductions bind different indices, and equal ones are equal."""
    centred = indexed("x", "C.2") - total(indexed("x", "C.1"), "C.1") / sp.Symbol("|C|", integer=True, positive=True)
    assert value(tmp_path, "return sum((x - mean(x, C))**2, C)", "x: Tensor[C]", "@loss()") == total(centred**2, "C.2")


def test_loss_with_share_and_gather(tmp_path: Path) -> None:
    """An ignored sample has no loss and no share; a target picks its class behind the guard."""
    body = "if target == ignore:\n    return 0, 0\nreturn -weight[target] * x[target], weight[target]"
    signature = "x: Tensor[K], target: Index[K], weight: Weight[K] = 1, *, ignore: Int = -100"
    op = traced(tmp_path, signature, body, "@loss()")
    (variant,) = op.variants
    target, ignore = sp.Symbol("target", integer=True), sp.Symbol("ignore", integer=True)
    weight = sp.IndexedBase("weight", real=True)[target]
    assert variant.share == Cases(sp.Eq(target, ignore), 0, weight)
    assert variant.value == Cases(sp.Eq(target, ignore), 0, -weight * sp.IndexedBase("x", real=True)[target])
    assert (op.reduction, [a.name for a in op.options]) == ("mean", ["ignore"])


def test_kinds_are_variants(tmp_path: Path) -> None:
    """``Index[K] | Prob[K]`` makes a variant for each kind, told apart by is_index."""
    body = "if is_index(t):\n    return -x[t]\nreturn -sum(t * x, K)"
    op = traced(tmp_path, "x: Tensor[K], t: Index[K] | Prob[K]", body, "@loss()")
    assert [(v.suffix, v.settings) for v in op.variants] == [
        ("index", (("t", "index"),)),
        ("prob", (("t", "prob"),)),
    ]


def test_norm_of_option_order(tmp_path: Path) -> None:
    """A norm's order chooses between the largest entry, a root of squares, a sum of sizes, and the general formula."""
    op = traced(tmp_path, "x: Tensor[D], p: Real >= 1 = 2", "return norm(x, D, p)", "@loss()")
    assert [v.suffix for v in op.variants] == [
        "p_eq_inf", "p_ne_inf_p_eq_2", "p_ne_inf_p_ne_2_p_eq_1", "p_ne_inf_p_ne_2_p_ne_1"
    ]  # fmt: skip
    assert [loops(v.value) for v in op.variants] == [()] * 4  # each binds its index


def test_called_spec_takes_the_axis_of_its_argument(tmp_path: Path) -> None:
    """A called spec's axis becomes the only axis of its argument, or the one that axis= names."""
    shared = spec("y: Tensor[C]", "return sum(exp(y), C)", "@function", "g")
    path = tmp_path / "f.py"
    path.write_text(HEADER + AXES + shared + spec("x: Tensor[K]", "return log(g(x))", "@loss()"), encoding="utf-8")
    assert load(path)["f"].variants[0].value == sp.log(total(sp.exp(indexed("x", "K.1")), "K.1"))
    two = spec("x: Tensor[C, D]", "return sum(g(x, axis=D), C)", "@loss()")
    path.write_text(HEADER + AXES + shared + two, encoding="utf-8")
    inner = total(sp.exp(indexed("x", "C.1", "D.1")), "D.1")
    assert load(path)["f"].variants[0].value == total(inner, "C.1")


def test_halves_and_parts(tmp_path: Path) -> None:
    """An axis of two parts unpacks into two, a fixed length into that many."""
    glu = value(tmp_path, "a, b = x\nreturn a * b", "x: Tensor[2 * C]")
    run = sp.Symbol("C", integer=True, nonnegative=True)
    base = sp.IndexedBase("x", real=True)
    assert glu == base[0, run] * base[1, run]
    assert value(tmp_path, "a, b, c = x\nreturn a + b * c", "x: Tensor[3]", "@loss()") == base[0] + base[1] * base[2]


ROLES = {
    "Tensor": "x * y", "Tensor[C]": "x * y", "Tensor > 0": "x * y", "-1 < Tensor[P] < 1": "x * y", "Index[K]": "x * y",
    "Index[K] | Prob[K]": "x * y", "Tensor[2 * C]": "x * y[0]", "0 <= Real <= 1": "x * y", "Real != 0": "x * y",
    "Int >= 0": "x * y", "bool": "x if y else 0", "Literal['a', 'b']": "x if y == 'a' else 0",
    "Real | None": "x if y is None else x * y", "(0 <= Real <= 1) | None": "x if y is None else x * y",
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_role_prints_as_its_annotation(tmp_path: Path, role: str) -> None:
    """The text of a role is the annotation that states it."""
    path = tmp_path / "f.py"
    text = spec(f"x, y: {role}", f"return {ROLES[role]}", "@function")
    path.write_text(HEADER + AXES + text, encoding="utf-8")
    assert str(load(path, functions=True)["f"].argument("y").role) == role
