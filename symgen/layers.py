"""Layers: a tensor times a parameter, summed over an axis, is a product of matrices, which is left to BLAS.

What is left of the formula, the epilogue, is a definition like any other: it takes the product where the formula has
the sum, and everything is derived, certified and drawn of it. Only the shape of a sum decides; nothing asks for names.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp
from sympy import Expr, Indexed, IndexedBase, Symbol

from symgen.spec.axes import AxisMax, AxisMin
from symgen.spec.model import Argument, Axis, Op, Role, symbol_of

REDUCTIONS = (sp.Sum, sp.Product, AxisMax, AxisMin)


@dataclass(frozen=True)
class Layer:
    """A definition taken apart.

    Attributes:
        tensor: the operand of each sample, along the axis that is summed over.
        matrix: the parameter that has this axis, and one more.
        over: the axis that is summed over.
        product: what the epilogue calls their product, which has the matrix's other axis.
        epilogue: the definition of what is left.
    """

    tensor: Argument
    matrix: Argument
    over: Axis
    product: str
    epilogue: Op

    @property
    def first(self) -> bool:
        """Whether the axis that is summed over is the first of the matrix."""
        return self.matrix.role.axes[0] == self.over


def layer(op: Op) -> Layer | None:
    """A definition as a product of matrices and an epilogue; None where it is not one in every variant.

    Example:
        >>> from symgen.catalogue import siren
        >>> print(layer(siren.op).epilogue.variants[0].value)
        sin(omega_0*(bias + product))
    """
    sums = (s for v in op.variants for s in v.value.atoms(sp.Sum))
    factors = {found for s in sums if (found := _factors(op, s)) is not None}
    if len(factors) != 1:
        return None
    tensor, matrix, over = factors.pop()
    other = next(a for a in matrix.role.axes if a != over)
    taken = {a.name for a in op.arguments}
    names = itertools.chain(["product"], map("product_{}".format, itertools.count(1)))
    name = next(n for n in names if n not in taken)
    product = Argument(name, Role("tensor", (other,)))
    gone = {tensor.name, matrix.name}
    variants = tuple(replace(v, value=_without(v.value, op, product)) for v in op.variants)
    if any(gone & set(_names(v.value)) for v in variants) or any(v.share is not None for v in variants):
        return None
    arguments = (product, *(a for a in op.arguments if a.name not in gone))
    if not any(v.value.has(*REDUCTIONS) or _moved(v.value, arguments) for v in variants):
        variants = tuple(replace(v, value=_elementwise(v.value, arguments)) for v in variants)
    return Layer(tensor, matrix, over, name, replace(op, arguments=arguments, variants=variants, whole=op))


def generated(op: Op) -> Op:
    """What code is generated of: the epilogue of a layer, any other definition itself."""
    found = layer(op)
    return op if found is None else found.epilogue


def _factors(op: Op, total: Expr) -> tuple[Argument, Argument, Axis] | None:
    """The tensor and the parameter whose product a sum is, and the axis that it is over; None of any other sum."""
    if len(total.limits) != 1 or not total.function.is_Mul or len(total.function.args) != 2:
        return None
    reads, bound = total.function.args, total.limits[0][0]
    if not all(isinstance(r, Indexed) and bound in r.indices for r in reads):
        return None
    by_kind = {a.role.kind: (a, r) for r in reads for a in op.operands if a.name == str(r.base)}
    if set(by_kind) != {"tensor", "param"}:
        return None
    (tensor, row), (matrix, entry) = by_kind["tensor"], by_kind["param"]
    others = [a for a, i in zip(matrix.role.axes, entry.indices, strict=True) if i != bound]
    over = tensor.role.axes[0]
    plain = len(row.indices) == 1 and len(others) == 1 and len(entry.indices) == 2
    if not plain or not all(isinstance(a, Axis) and a.at == -1 for a in (over, *others)) or others[0] == over:
        return None
    return (tensor, matrix, over) if isinstance(over, Axis) else None


def _without(e: Any, op: Op, product: Argument) -> Any:
    """A formula with the product read where it has the sum."""
    if isinstance(e, sp.Sum) and _factors(op, e) is not None:
        bound = e.limits[0][0]
        (at,) = (i for r in e.function.args for i in r.indices if i != bound)
        return IndexedBase(symbol_of(product))[at]
    return e.func(*(_without(a, op, product) for a in e.args)) if e.args and not isinstance(e, Indexed) else e


def _names(e: Any) -> Iterator[str]:
    yield from (s.name for s in e.free_symbols if isinstance(s, Symbol))


def _moved(e: Any, arguments: tuple[Argument, ...]) -> bool:
    """Whether a formula reads an operand anywhere but where it stands."""
    axes = {a.name: tuple(x.run for x in a.role.axes if isinstance(x, Axis)) for a in arguments}
    return any(tuple(r.indices) != axes.get(str(r.base)) for r in e.atoms(Indexed))


def _elementwise(e: Any, arguments: tuple[Argument, ...]) -> Any:
    """A formula that reads each operand where it stands, over plain numbers."""
    symbols = {a.name: symbol_of(a) for a in arguments}
    return e.xreplace({r: symbols[str(r.base)] for r in e.atoms(Indexed)})
