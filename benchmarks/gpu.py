"""The CUDA kernels on a GPU: are they right, are they what the interpreter computed, and how fast are they?

    python -m benchmarks.gpu [FUNCTION ...] [--section NAME ...] [--jobs N] [--json FILE] [--quick]
    python -m benchmarks.gpu --show FILE

What needs no GPU is done anywhere: every kernel is compiled, its static figures are taken, and the interpreter runs it.
The rest needs a driver and PyTorch; where one is missing the program says so and ends with exit code 1. It prints one
JSON object, whose keys are those of `SECTIONS`; what is timed never runs beside anything else.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.metadata
import json
import multiprocessing
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import symgen.functional as F
from benchmarks import gpu_right, gpu_speed, gpu_text
from symgen.runtime.cuda import DRIVER
from symgen.runtime.errors import CudaMissingError

PACKAGES = ("numba", "numba-cuda", "nvidia-cuda-nvrtc", "nvidia-nvvm", "numpy", "torch", "triton")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("functions", nargs="*", help="all if none is named")
    parser.add_argument("--section", action="append", choices=SECTIONS, help="what to find out; all if none is named")
    parser.add_argument("--jobs", type=int, default=1, help="processes for what is not timed")
    parser.add_argument("--json", help="write the result to this file too")
    parser.add_argument("--quick", action="store_true", help="one size, and no exhaustive sweep")
    parser.add_argument("--show", metavar="FILE", help="print what such a file holds as a table, and measure nothing")
    options = parser.parse_args(arguments)
    if options.show:
        print(gpu_text.table(json.loads(Path(options.show).read_text(encoding="utf-8"))))
        return 0
    chosen = options.functions or functions()
    missing = _missing()
    result: dict[str, Any] = {"versions": versions(), "device": None if missing else device()}
    for name, section in SECTIONS.items():
        if name in (options.section or SECTIONS) and not (section.on_device and missing):
            found = result[name] = {}
            for function, one in zip(chosen, _each(name, chosen, options), strict=True):
                found[function] = one
                _keep(result, options.json)  # what is known stays, should the rest take too long
    print(_keep(result, options.json))
    if missing:
        print(f"nothing more can be measured here: {missing}", file=sys.stderr)
    return 1 if missing else 0


def _keep(result: Mapping[str, Any], place: str | None) -> str:
    """The text of what is known so far, which is kept in a file where one is named."""
    text = json.dumps(result, indent=1, sort_keys=True)
    if place:
        Path(place).write_text(text + "\n", encoding="utf-8")
    return text


def _each(section: str, names: Sequence[str], options: argparse.Namespace) -> Iterator[Any]:
    """What a section finds of each function: side by side where nothing is timed."""
    work = functools.partial(tried, section, quick=options.quick)
    if options.jobs == 1 or SECTIONS[section].timed:
        yield from map(work, names)
        return
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(work, names)


def tried(section: str, name: str, quick: bool) -> Any:
    """What a section finds of a function; what goes wrong is said, and the others are measured all the same."""
    try:
        return SECTIONS[section].run(name, quick)
    except Exception as error:  # noqa: BLE001 - whatever a device, a driver or another library raises
        print(f"{section} of {name} failed: {type(error).__name__}: {error}", file=sys.stderr)
        return {"failed": f"{type(error).__name__}: {error}"}


def functions() -> list[str]:
    """All that have CUDA kernels."""
    return sorted({getattr(F, n).__name__ for n in dir(F) if _is_kernel(n)})


def _is_kernel(name: str) -> bool:
    """Whether a name is that of a function with CUDA kernels."""
    function = getattr(getattr(F, name), "function", None) if not name.startswith("_") else None
    return function is not None and bool(function.cuda)


def _missing() -> str:
    try:
        DRIVER.check()
        importlib.import_module("torch")
    except (CudaMissingError, ImportError) as error:
        return str(error)
    return ""


def versions() -> dict[str, str]:
    """What the figures depend on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "none"
    return found


def device() -> dict[str, Any]:
    import torch

    found = torch.cuda.get_device_properties(0)
    return {"name": found.name, "capability": [found.major, found.minor], "memory": found.total_memory}


@dataclass(frozen=True)
class Section:
    """Something to find out about a function: where, and whether times are what it is about."""

    run: Callable[[str, bool], Any]
    on_device: bool = True
    timed: bool = False


SECTIONS = {
    "static": Section(gpu_right.static, on_device=False),
    "interpreter": Section(gpu_right.interpreted, on_device=False),
    "correctness": Section(gpu_right.correctness),
    "sweep": Section(gpu_right.sweep),
    "bandwidth": Section(gpu_speed.bandwidth, timed=True),
    "overhead": Section(gpu_speed.overhead, timed=True),
}

if __name__ == "__main__":
    sys.exit(main())
