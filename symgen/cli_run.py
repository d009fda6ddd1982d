"""`symgen warm` and `symgen bench`: kernels compiled ahead of time, and kernels timed."""

from __future__ import annotations

import importlib
import sys
import time
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from symgen import build as driver
from symgen import build_keys, build_pool, resources
from symgen.cli import Exit
from symgen.cli_build import counted
from symgen.cli_show import current
from symgen.config import Config
from symgen.console import say
from symgen.files import UserError

if TYPE_CHECKING:
    from symgen.runtime.warm import Warmed

Names = Annotated[list[str] | None, Parameter(negative=(), show_default=False)]
DTypes = Annotated[list[Literal["float64", "float32", "float16", "bfloat16"]] | None, Parameter(negative=())]
Tokens = Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]


def warm(names: Names = None, /, *, dtype: DTypes = None, jobs: int | None = None) -> int:
    """Compile kernels ahead of time, so that no first call has to wait: value, derivatives, vjp and gradients.

    What is compiled lies in Numba's cache beside the kernels, or in the folder that NUMBA_CACHE_DIR names.

    Args:
        names: Functions to compile; all if none is named.
        dtype: For which dtype, and again for more; float64 and float32 if not given.
        jobs: How many processes compile at once; one for each core if not given.
    """
    start = time.monotonic()
    project = current()
    targets = build_keys.targets(project)
    chosen = driver.resolve(names or (), targets) or tuple(targets)
    built = driver.read_manifest(project.out)["functions"]
    if missing := [name for name in chosen if name not in built]:
        raise UserError(f"not built yet: {', '.join(missing)}\n  hint: run `symgen build`")
    work = [(project, name, tuple(dtype or ("float64", "float32"))) for name in chosen]
    done = list(build_pool.run(_warm, work, jobs or project.jobs or build_pool.cores()))
    compiled, cached = (sum(each[i] for each in done) for i in (0, 1))
    took = time.monotonic() - start
    say(f"{counted(len(done), 'function')}: {compiled} loops compiled, {cached} in the cache already, in {took:.1f} s")
    return Exit.OK


def _warm(work: tuple[Config, str, tuple[str, ...]]) -> Warmed:
    from symgen import measure

    config, name, dtypes = work
    found: Warmed = getattr(measure.public_module(config), name).warm(*dtypes)
    return found


def bench(*tokens: Tokens) -> int:
    """Time kernels and their peers in one run, with the error of each beside its time; --help tells what can be chosen.

    It is `python -m benchmarks` of a source checkout.
    """
    root = resources.checkout()
    if root is None or not (root / "benchmarks" / "__main__.py").is_file():
        raise UserError("the benchmarks are part of the source checkout\n  hint: clone the project and run it there")
    sys.path.insert(0, str(root))
    found: int = importlib.import_module("benchmarks.__main__").main(list(tokens))
    return found
