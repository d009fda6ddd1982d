"""Every function that PyTorch has, beside PyTorch's: values and gradients at all of its settings and reductions.

    python -m benchmarks.parity              # everything; names of functions select some
    python -m benchmarks.parity --verbose    # each call that differs

Operands are float64 and drawn away from the ends of domains: what happens there is chosen, and told in the reference.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import symgen.functional as F
from benchmarks.gpu_calls import drawn, layout, peer
from symgen.runtime.conditions import SYMBOLS, number
from symgen.runtime.losses import REDUCTIONS
from symgen.runtime.manifest import Argument, Function

CLOSE = 1e-7  # of the largest entry: some constants of PyTorch's have the digits of float32
SIZE, COLUMNS = 60, 6
OTHERS = (0.4, 1.5, 2.0)  # further values of an option, where the domain has them
SIGNED = ("cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "soft_margin_loss")  # their targets
COUNTED = ("poisson_nll_loss",)  # rates and counts, which are positive


@dataclass
class Compared:
    """What came out for one function: how many results were compared, and which differ by how much."""

    results: int = 0
    largest: float = 0.0
    refused: int = 0
    differ: list[str] = field(default_factory=list)

    def add(self, what: str, ours: Any, theirs: Any) -> None:
        self.results += 1
        one, other = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        if one.shape != other.shape:
            self.differ.append(f"{what}: shape {one.shape}, PyTorch's {other.shape}")
            return
        with np.errstate(all="ignore"):
            apart = np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0.0, np.abs(one - other))
            scale = np.max(np.abs(other), initial=1e-300, where=np.isfinite(other))
            found = float(np.max(apart, initial=0.0) / scale)
        self.largest = max(self.largest, found)
        if not found <= CLOSE:
            self.differ.append(f"{what}: {found:.1e} of the largest entry")


def settings(function: Function) -> Iterator[dict[str, Any]]:
    """The defaults, and each option at other values."""
    base = {a.name: 0.5 for a in function.options if a.required}
    yield base
    for a in function.options:
        values = a.choices if a.role == "choice" else [v for v in OTHERS if _inside(a, v)] if a.role == "real" else ()
        yield from (base | {a.name: v} for v in values if v != a.default)


def _inside(argument: Argument, value: float) -> bool:
    return all(SYMBOLS[symbol](value, number(bound)) for symbol, bound in argument.limits)


def operands(function: Function, setting: dict[str, Any]) -> Iterator[dict[str, np.ndarray]]:
    """Arrays for a call: with and without weights, of classes and of probabilities where both are taken."""
    rng = np.random.default_rng(1)
    lengths = layout(function, SIZE, COLUMNS)
    found = {n: v.astype(np.float64) if v.dtype == np.float32 else v for n, v in drawn(function, lengths).items()}
    if setting.get("log_target"):
        found["target"] = np.log(found["target"])
    if function.name in SIGNED:
        found["target"] = np.sign(found["target"])
    if function.name in COUNTED:
        found = {n: np.abs(v) for n, v in found.items()}
    weights = {a.name: rng.uniform(0.2, 2, lengths.shape(a)) for a in function.operands if a.role == "weight"}
    required = {n: v for n, v in found.items() if n not in weights}
    cases = [required]
    for a in function.operands:
        if a.kinds and function.tensors:
            rows = rng.dirichlet(np.ones(COLUMNS), required[a.name].shape)
            cases.append(required | {a.name: rows})
    for case, some in itertools.product(cases, ({}, weights) if weights else ({},)):
        yield case | some


def compare(name: str) -> Compared:
    """One function at all settings, operands and reductions."""
    kernel = getattr(F, name)
    function: Function = kernel.function
    found = Compared()
    for setting in settings(function):
        for arrays, how in itertools.product(operands(function, setting), REDUCTIONS if function.is_loss else ("",)):
            given = setting | ({"reduction": how} if how else {})
            what = f"{name}({', '.join(arrays)}, {', '.join(f'{k}={v!r}' for k, v in given.items())})"
            known = _theirs(function, arrays, given)
            if known is None:
                found.refused += 1
                continue
            value, g, gradients = known
            found.add(what, kernel(**arrays, **given), value)
            slopes = kernel.vjp(g if g.ndim else float(g), **arrays, **given, wrt=tuple(gradients))
            for (n, theirs), ours in zip(gradients.items(), slopes if isinstance(slopes, tuple) else (slopes,),
                                         strict=True):
                found.add(f"gradient in {n} of {what}", ours, theirs)
    return found


def _theirs(function: Function, arrays: Mapping[str, np.ndarray], given: Mapping[str, Any]
            ) -> tuple[Any, np.ndarray, dict[str, Any]] | None:
    """PyTorch's value, a cotangent, and the gradients that it derives; None where it does not take the call."""
    import torch

    called = peer(function)
    floats = [a.name for a in function.operands if a.role in ("tensor", "param") and a.name in arrays]
    for moving in (floats, floats[:1]):  # in some targets there is no derivative
        tensors = {n: torch.tensor(v, requires_grad=n in moving) for n, v in arrays.items()}
        try:
            value = called(**tensors, **given) if called else None
            g = np.asarray(np.random.default_rng(2).normal(size=value.shape))
            value.backward(torch.tensor(g))
        except (AttributeError, RuntimeError, TypeError, ValueError):
            continue
        return value.detach(), g, {n: t.grad for n, t in tensors.items() if t.grad is not None}
    return None


def main(tokens: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__.splitlines()[0])
    parser.add_argument("functions", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--verbose", action="store_true", help="show each call that differs")
    chosen = parser.parse_args(tokens)
    if importlib.util.find_spec("torch") is None:
        print("error: PyTorch is not installed: `pip install torch`", file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")
    known = [n for n in dir(F) if hasattr(own := getattr(F, n), "function") and own.function.name == n]
    if unknown := sorted(set(chosen.functions) - set(known)):
        print(f"error: the catalogue has no function {', '.join(unknown)}", file=sys.stderr)
        return 2
    wanted = [n for n in chosen.functions or known if peer(getattr(F, n).function) is not None]
    total, different = 0, 0
    print(f"{'function':34}{'results':>8}{'largest difference':>20}{'not in PyTorch':>16}")
    for name in wanted:
        found = compare(name)
        total, different = total + found.results, different + len(found.differ)
        print(f"{name:34}{found.results:8}{found.largest:20.1e}{found.refused:16}"
              + (f"  {len(found.differ)} differ" if found.differ else ""))
        if chosen.verbose:
            print("".join(f"    {line}\n" for line in found.differ), end="")
    print(f"{total} values and gradients of {len(wanted)} functions compared, {different} differ")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
