"""What the tests of the catalogue share: its definitions, its kernels, and the settings at which each is tested."""

from __future__ import annotations

import ast
import inspect
import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import symgen.functional as F
from symgen.catalogue import folder
from symgen.certify_cases import Case, cases
from symgen.runtime import Kernel
from symgen.spec import Op, load
from symgen.ulp import inside

ROOT = Path(__file__).parents[2]
DTYPES = tuple(np.dtype(t) for t in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16))


class Catalogue:
    """The registry: what is defined, and what was generated from it."""

    root = ROOT
    dtypes = DTYPES

    @property
    def names(self) -> list[str]:
        """The elementwise functions of the manifest; those of rows have tests of their own."""
        data = json.loads((ROOT / "generated" / "manifest.json").read_text(encoding="utf-8"))
        return sorted(n for n, entry in data["functions"].items() if entry["archetype"] == "elementwise")

    @property
    def every(self) -> list[str]:
        """The functions of the manifest."""
        data = json.loads((ROOT / "generated" / "manifest.json").read_text(encoding="utf-8"))
        return sorted(data["functions"])

    @property
    def activations(self) -> list[str]:
        """The elementwise functions of one tensor."""
        return [n for n in self.names if self.ops()[n].kind == "activation"]

    @property
    def losses(self) -> list[str]:
        """The functions that reduce to a number."""
        return [n for n in self.names if self.ops()[n].kind == "loss"]

    @staticmethod
    @cache
    def ops() -> dict[str, Op]:
        """The definitions."""
        return load(folder())

    @staticmethod
    @cache
    def cases(name: str) -> tuple[Case, ...]:
        """Every variant at its main setting and at others."""
        return cases(Catalogue.ops()[name])

    @staticmethod
    def base(name: str) -> tuple[Case, ...]:
        """Every variant at its main setting."""
        return tuple(c for c in Catalogue.cases(name) if c.base)

    @staticmethod
    def measured(name: str) -> tuple[Case, ...]:
        """The cases whose accuracy the suite measures: of losses, which have many operands, the main ones."""
        return Catalogue.cases(name) if Catalogue.ops()[name].kind == "activation" else Catalogue.base(name)

    @staticmethod
    def kernel(name: str) -> Kernel:
        """The public function."""
        found: Kernel = getattr(F, name)
        return found

    @staticmethod
    def module(name: str) -> ModuleType:
        """The generated module behind it."""
        return Catalogue.kernel(name)._caller.loops.module()

    @staticmethod
    def cuts(name: str) -> tuple[float, ...]:
        """The numbers that generated code compares something with: where one formula ends and another begins."""
        tree = ast.parse(inspect.getsource(Catalogue.module(name)))
        relations = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
        compared = [side for relation in relations for side in (relation.left, *relation.comparators)]
        return tuple(sorted({v for side in compared for v in _number(side) if math.isfinite(v)}))

    @staticmethod
    def operands(case: Case, x: Any) -> list[Any]:
        """The array operands of a call: x where a case sweeps it, one value of its dtype for the others."""
        return [x if v is None else np.full(1, v).astype(x.dtype) for _, v in case.operands]

    @staticmethod
    def scalars(case: Case) -> list[float]:
        """The numbers that a scalar function takes after the swept operand."""
        held = [v for _, v in case.operands if v is not None]
        numeric = [v for a, v in case.options if not isinstance(v, str)]
        return [float(v or 0.0) for v in (*held, *numeric)]

    @staticmethod
    def points(case: Case, dtype: Any = np.float64, count: int = 200) -> Any:
        """Inputs of both signs and many sizes within the domain, zeros, infinities and NaN among them."""
        rng = np.random.default_rng(7)
        near = np.concatenate([rng.normal(size=count) * 3, np.arange(-8, 8.5, 0.5)])
        far = np.concatenate([s * 10.0 ** rng.uniform(-40, 38, count // 4) for s in (1, -1)])
        with np.errstate(all="ignore"):
            found = np.concatenate([near, far, [0.0, -0.0, np.inf, -np.inf, np.nan]]).astype(dtype)
        return found[_within(case, found.astype(np.float64))]


def _within(case: Case, points: Any) -> Any:
    """Which points a domain holds; NaN is never outside."""
    return inside(points, case.limits) | np.isnan(points)


def _number(node: ast.expr) -> Iterator[float]:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return
    if isinstance(value, int | float):
        yield float(value)


def bits(values: Any) -> Any:
    """The bits of floating-point numbers, every NaN the same."""
    array = np.atleast_1d(np.asarray(values))
    plain = np.where(np.isnan(array.astype(np.float64)), np.array(np.nan).astype(array.dtype), array)
    return plain.view(f"u{array.dtype.itemsize}")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The registry of definitions and kernels."""
    return Catalogue()


@pytest.fixture(scope="session")
def same_bits() -> Any:
    """Asserts that two arrays of floats are the same bit for bit, zeros' signs included."""

    def check(a: Any, b: Any, what: str = "") -> None:
        assert np.asarray(a).dtype == np.asarray(b).dtype, what
        np.testing.assert_array_equal(bits(a), bits(b), err_msg=what)

    return check


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument ``name`` runs once for each function of the registry, or of its module's KIND."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", getattr(Catalogue(), getattr(metafunc.module, "KIND", "names")))
