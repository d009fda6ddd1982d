"""Bad input is refused by name, over the whole catalogue: ranks, shapes, values outside of a domain, options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen import catalogue
from symgen.spec import Op, load
from symgen.spec.model import role_limits

OPS: dict[str, Op] = load(catalogue.folder())
BESIDE = {">": -1.0, ">=": -1.0, "<": 1.0, "<=": 1.0, "!=": 0.0}  # how far beyond a limit a value is taken

V = np.ones((2, 3))
DEEP = np.ones((2, 3, 4))
RANKS: dict[str, tuple[Callable[[], Any], str]] = {
    "multi_margin": (lambda: F.multi_margin_loss(DEEP, np.zeros((2, 4), int)),
                     r"input has shape \(2, 3, 4\); expected \(K\) or \(N, K\)"),
    "multilabel_margin": (lambda: F.multilabel_margin_loss(DEEP, np.zeros((2, 3, 4), int)),
                          r"input has shape \(2, 3, 4\); expected \(C\) or \(N, C\)"),
    "cosine_embedding": (lambda: F.cosine_embedding_loss(DEEP, DEEP, np.ones((2, 3))),
                         r"input1 has shape \(2, 3, 4\); expected \(D\) or \(N, D\)"),
    "triplet_margin": (lambda: F.triplet_margin_loss(DEEP, DEEP, DEEP),
                       r"anchor has shape \(2, 3, 4\); expected \(D\) or \(N, D\)"),
    "ratio": (lambda: F.ratio_loss(DEEP, DEEP, DEEP), r"anchor has shape \(2, 3, 4\); expected \(D\) or \(N, D\)"),
    "info_nce": (lambda: F.info_nce_loss(DEEP, DEEP), r"query has shape \(2, 3, 4\); expected \(N, D\)"),
    "no axis": (lambda: F.multilabel_margin_loss(1.0, 0), r"input has shape \(\); it needs an axis C"),
    "labels of another batch": (lambda: F.cosine_embedding_loss(V, V, np.ones(3)),
                                r"target has shape \(3,\); expected \(2,\)"),
    "targets of another shape": (lambda: F.cross_entropy(DEEP, np.zeros((2, 3), int)),
                                 r"target has shape \(2, 3\); expected \(2, 4\) for input of \(2, 3, 4\)"),
    "weights of other classes": (lambda: F.cross_entropy(V, [0, 1], weight=np.ones(2)),
                                 r"weight has shape \(2,\); expected \(3,\), one for each class"),
    "a parameter of another length": (lambda: F.layer_norm(V, bias=np.ones(2)),
                                      r"bias has shape \(2,\); expected \(3,\), one for each entry of a row"),
    "vectors of two lengths": (lambda: F.dice_loss(V, np.ones((2, 4))),
                               r"input has shape \(2, 3\), target has shape \(2, 4\)"),
    "samples of two numbers": (lambda: F.mse_loss(np.ones(2), np.ones(3)),
                               r"input has shape \(2,\), target has shape \(3,\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", RANKS)
def test_another_rank_or_shape_is_refused_with_the_shapes(case: str) -> None:
    """A message has every shape that does not fit, and what was expected."""
    call, words = RANKS[case]
    with pytest.raises(ValueError, match=words):
        call()


def operands(op: Op, n: int = 4) -> dict[str, Any]:
    """Two samples of plain operands: the first class where classes are asked for, halves elsewhere."""
    found: dict[str, Any] = {}
    for a in op.operands:
        role = a.role.kinds[0] if a.role.kinds else a.role
        lengths = tuple(2 if str(getattr(x, "name", x)) == "N" else n for x in role.axes)
        if role.kind == "index":
            found[a.name] = np.zeros(2, int)
        elif role.kind == "labels":
            found[a.name] = np.zeros((2, n), int)
        elif role.kind != "mask":
            own = role.kind in ("weight", "param") and lengths
            found[a.name] = np.full(lengths if own or len(lengths) == 2 else (2, *lengths), 0.5)
    return found


LIMITED = sorted((name, a.name, o, float(v)) for name, op in OPS.items() for a in op.operands
                 for r in (a.role.kinds or (a.role,)) for o, v in role_limits(r))  # fmt: skip


@pytest.mark.parametrize(("name", "argument", "relation", "bound"), LIMITED)
def test_values_outside_of_a_domain_are_refused_where_it_is_asked(name: str, argument: str, relation: str,
                                                                  bound: float) -> None:  # fmt: skip
    """Weights of classes always, since they are few; other values with check=True only, and then by name."""
    op = OPS[name]
    given = operands(op)
    role = op.argument(argument).role
    if role.kinds:  # probabilities in place of classes
        given[argument] = np.full((2, 4), 0.25)
        role = role.kinds[1]
    given[argument] = np.array(given[argument], float)
    given[argument].flat[0] = bound + BESIDE[relation]
    words = rf"{name}\(\): {argument} must be {relation} {bound:g}"
    if role.kind == "weight" and role.axes:
        with pytest.raises(ValueError, match=words):
            getattr(F, name)(**given)
        return
    with pytest.raises(ValueError, match=words):
        getattr(F, name)(**given, check=True)


def test_nobody_pays_for_a_check_that_was_not_asked_for() -> None:
    """A negative weight of an element, a probability above one: computed as they stand."""
    assert F.binary_cross_entropy([0.5], [0.5], weight=[-1.0]) == -np.log(2)
    assert F.cross_entropy([[0.0, 0.0]], [[2.0, 0.0]]) == 2 * np.log(2)


OPTIONS = sorted((name, a.name, o, float(v)) for name, op in OPS.items() for a in op.options
                 for o, v in role_limits(a.role) if a.role.kind in ("real", "int"))  # fmt: skip


@pytest.mark.parametrize(("name", "option", "relation", "bound"), OPTIONS)
def test_options_outside_of_their_domain_are_refused(name: str, option: str, relation: str, bound: float) -> None:
    """beta, delta, margins, temperatures: whatever a spec says of them holds at every call."""
    outside = bound + BESIDE[relation]
    with pytest.raises(ValueError, match=rf"{name}\(\): {option} must be"):
        getattr(F, name)(**{**operands(OPS[name]), option: outside})


CLASSES = [name for name, op in OPS.items() for a in op.operands
           if a.role.kind in ("index", "labels") or a.role.kinds]  # fmt: skip


SCORES = [name for name, op in OPS.items() if op.kind == "loss" and any(a.role.kind == "prob" for a in op.operands)
          and any(a.role.kind == "tensor" and not a.role.limits for a in op.operands)]  # fmt: skip


@pytest.mark.parametrize("name", SCORES)
def test_integer_logits_beside_probabilities_are_refused(name: str) -> None:
    """In every method; a probability may be an integer, and so may a Python number."""
    given = operands(OPS[name])
    numbers = {**given, "input": np.ones_like(given["input"], int)}
    kernel = getattr(F, name)
    for call in (kernel, kernel.grad, kernel.value_and_grad, lambda **k: kernel.vjp(1.0, **k),
                 lambda **k: kernel.hvp(given["input"], **k)):  # fmt: skip
        with pytest.raises(TypeError, match=rf"{name}.*\(\): input has dtype int64; expected floats"):
            call(**numbers)
    ones = {**given, "target": np.ones_like(given["target"], int)}
    assert np.isfinite(kernel(**ones)).all()


def test_integers_where_a_domain_makes_them_plain_are_taken() -> None:
    """A probability of zero or one, a distance of two."""
    assert F.binary_cross_entropy(np.array([1, 0]), np.array([1.0, 0.0])) == 0
    assert F.contrastive_loss(np.array([2]), np.array([1.0])) == 4
    assert F.binary_cross_entropy_with_logits(0, 1.0) == np.log(2)


@pytest.mark.parametrize("name", CLASSES)
def test_classes_that_do_not_exist_and_integer_logits_are_refused(name: str) -> None:
    """Both are signs of operands that changed places."""
    given = operands(OPS[name])
    beyond = given["target"].copy()
    beyond.flat[1] = 4
    with pytest.raises(ValueError, match=rf"{name}\(\): target holds 4 at index \(.*1,?\), which is no class of"):
        getattr(F, name)(**{**given, "target": beyond})
    with pytest.raises(TypeError, match=rf"{name}\(\): input has dtype int64; expected floats"):
        getattr(F, name)(**{**given, "input": np.ones((2, 4), int)})
