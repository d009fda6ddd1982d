"""What is measured: elementwise functions with their definition, inputs, and truth at some points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symgen import build, build_keys, config, ulp
from symgen.calculus import derivative
from symgen.certify_cases import Case, CertifyError, cases
from symgen.files import UserError
from symgen.measure import public_module
from symgen.oracle import Oracle
from symgen.spec import load
from symgen.truth import Truth
from symgen.vocabulary import expand_heads

MODES = ("value", "vjp", "value_and_grad")
COPIES = {"value": 1.0, "vjp": 1.5, "value_and_grad": 1.5}  # bytes that a mode has to move, in copies of the operand
SPREAD = 3.0  # standard deviation of the inputs that are timed
POINTS = 3000  # at which errors are measured: half over the whole range, half where the timed inputs lie


@dataclass(frozen=True)
class Subject:
    """One function at its main setting: the kernel, and what the spec says in words that any library understands.

    Attributes:
        name: of the function.
        kernel: symgen's.
        torch: what PyTorch calls it, or None.
        case: the definition, and a value for everything but the operand.
        known: the truth by dtype, which every library is measured against.
    """

    name: str
    kernel: Any
    torch: str | None
    case: Case
    known: dict[str, tuple[Truth, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def options(self) -> dict[str, Any]:
        """The options of the main setting, without those that stand for nothing."""
        return {name: value for name, value in self.case.options if value is not None}

    @property
    def held(self) -> tuple[float, ...]:
        """The operands beside the first, each as one number."""
        return tuple(value for _, value in self.case.operands if value is not None)

    @cached_property
    def formulas(self) -> tuple[Any, Any]:
        """The value and the derivative as the definition has them, nothing rewritten."""
        known = {s: v for s, v in ((s, dict(self.case.parameters).get(s.name)) for s in self.symbols) if v is not None}
        value = self.case.expression
        slope = derivative(value, self.case.symbol)
        # a slope that is one of these values is a Python number
        return sp.sympify(expand_heads(value).xreplace(known)), sp.sympify(expand_heads(slope).xreplace(known))

    @property
    def symbols(self) -> Sequence[Any]:
        return sorted(self.case.expression.free_symbols, key=str)

    def inputs(self, dtype: Any, size: int) -> tuple[Any, Any]:
        """The operand and a cotangent: normal numbers, reflected into the domain, the same in every run."""
        draw = np.random.default_rng(20)
        x = draw.standard_normal(size, np.float32) * np.float32(SPREAD)
        g = draw.standard_normal(size, np.float32)
        return self._inside(x).astype(dtype), g.astype(dtype)

    def _inside(self, x: Any) -> Any:
        outside = ~ulp.inside(np.asarray(x, np.float64), self.case.limits)
        return np.where(outside, -x, x)

    def points(self, dtype: str) -> Any:
        """Where errors are measured, as float64 numbers of the dtype."""
        usual = self.inputs(ulp.format_of(dtype).dtype, POINTS // 2)[0].astype(np.float64)
        both = np.unique(np.concatenate([ulp.log_spaced(POINTS // 2, dtype), usual]))
        return both[ulp.inside(both, self.case.limits)]

    def truth(self, dtype: str) -> tuple[Truth, ...]:
        """The value and the derivative at these points, from ball arithmetic."""
        if dtype not in self.known:
            oracle = Oracle(self.case.expression, self.case.symbol, 1)
            self.known[dtype] = tuple(oracle.truth(self.points(dtype), dict(self.case.parameters), orders=(0, 1)))
        return self.known[dtype]


def subjects(names: Sequence[str] = ()) -> Iterator[Subject]:
    """The elementwise functions of one tensor, or those named.

    Raises:
        UserError: an unknown name, with the nearest that is known.
    """
    project = config.load() or config.catalogue()
    targets = build_keys.targets(project)
    functions: Mapping[str, Any] = build.read_manifest(project.out)["functions"]
    face = public_module(project)
    for name in build.resolve(names, targets) or tuple(targets):
        if name not in functions:
            raise UserError(f"{name} is not built yet\n  hint: run `symgen build`")
        job = build.job(project, targets[name])
        op = load(job.file, root=job.specs)[name]
        try:
            main = cases(op)[0]
        except CertifyError:
            continue  # rows: their arrays have other shapes
        if op.kind == "loss":
            continue  # its value is one number
        if sum(a.role.kind == "tensor" for a in op.operands) == 1:
            yield Subject(name, getattr(face, name), op.torch, main)
