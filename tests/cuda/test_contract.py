"""What the text of every kernel promises: its arithmetic, its memory accesses, and how much work an element is."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from symgen import certify_cuda
from symgen.cuda_code import argument_type, assemble, compile_ptx, figures, ptxas
from symgen.ptx import parse
from symgen.runtime.cuda_arrays import FORMATS, View

PTXAS = ptxas()
# libdevice reduces large arguments of these in a slow path with local memory, the last step of it in float64
SLOW_PATHS = re.compile(r"\b(?:sinf?|cosf?|tanf?|sin_sum|cos_sum|sin_product|cos_product)\(")
REGISTERS = 64
ROW_REGISTERS = 128  # of kernels that a thread reads four entries in, of pairs each
MAIN = re.compile(r"value|grad_|vjp_f64|sum_value_f64")
# of PTX for an element, in the costliest kernel of the catalogue: what keeps a change from making it worse unnoticed.
# A kernel that is to run at the speed of memory has about 80; see docs/adr/0021-float32-on-gpus.md.
INSTRUCTIONS = {"<f4": 640, "<f8": 1100}


CALLS = "libdevice reduces large float64 angles in a function of its own, and the interpreter knows no calls"


def slow_path(module: str) -> bool:
    return bool(SLOW_PATHS.search(Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")))


def kernels(simulated, name: str, arithmetic: str):
    """Every kernel with vector accesses, of losses in float64 the main ones, with what its parameters are."""
    device = simulated(name, (9, 0))
    module = importlib.import_module(device._module)
    source = Path(module.__file__).read_text(encoding="utf-8")
    for found in re.finditer(rf"@kernel\ndef (\w+_{arithmetic}\w*)\((.*)\):", source):
        light = arithmetic == "f32" or device._caller.function.kind == "activation"
        if not found[1].endswith("_each") and (light or MAIN.match(found[1])):
            yield getattr(module, found[1]), found[2].split(", "), source


def types_of(names: list[str], typestr: str, device) -> tuple:
    from numba import types

    options = {a.name for a in device._caller.function.numeric_options}
    options |= {f"{o}_low" for o in options} | {f"{o}_" for o in options} | {f"{o}_low_" for o in options}
    view = View(None, 0, 4, int(typestr[-1]), FORMATS[typestr], readonly=False)
    number = types.float64 if typestr == "<f8" else types.float32
    return tuple(types.uint32 if n == "n" else number if n in options else argument_type(view) for n in names)


@pytest.mark.parametrize("typestr", ["<f4", "<f8"])
def test_kernels_compute_in_their_own_precision_with_wide_accesses(name, typestr, simulated):
    device, form = simulated(name, (9, 0)), FORMATS[typestr]
    if typestr == "<f8" and slow_path(device._module):
        pytest.skip(CALLS)
    count = 0
    for kernel, names, source in kernels(simulated, name, form.arithmetic):
        found = figures(parse(compile_ptx(kernel, types_of(names, typestr, device))))
        slow = SLOW_PATHS.search(source)
        assert slow or found.local == 0, kernel.__name__
        if typestr == "<f4":
            assert slow or found.double == 0, kernel.__name__
        # each array is read or written once as vectors; where the result does not depend on x it is not read
        outs = len([n for n in names if n == "out" or re.fullmatch(r"[gd](?:x|input|target)_?", n)])
        assert found.wide >= outs, kernel.__name__
        assert slow or found.instructions <= INSTRUCTIONS[typestr] * (form.lanes + 1), kernel.__name__
        count += 1
    assert count >= 5


@pytest.mark.skipif(PTXAS is None, reason="ptxas is not installed: PTX alone was checked")
def test_machine_code_spills_nothing(name, simulated):
    device = simulated(name, (9, 0))
    for kernel, names, source in kernels(simulated, name, "f32"):
        if not SLOW_PATHS.search(source) and kernel.__name__.startswith(("value_f32", "grad_f32", "vjp_f32")):
            code = assemble(compile_ptx(kernel, types_of(names, "<f4", device)))
            assert (code.stack, code.spilled) == (0, 0), kernel.__name__
            assert code.registers <= REGISTERS, kernel.__name__


@pytest.mark.parametrize("function", ["softmax", "layer_norm", "cross_entropy"])
def test_kernels_of_rows_keep_the_contract(function, simulated, ops):
    """Their own precision, no local memory, 16 bytes at once; in machine code, where that can be made, no spills."""
    kernel = simulated(function, (9, 0))
    found = {f.output: f for f in certify_cuda.figures(ops()[function], kernel)}
    assert {"value", "vjp"} <= set(found)
    wide = {k: v for k, v in kernel._driver.kernels.items() if re.match(r"(?:value|vjp)_f32.*_wide$", k[1])}
    assert len(wide) >= 2
    for (module, own, signature, capability), made in wide.items():
        static = figures(made)
        assert (static.double, static.local) == (0, 0), own
        assert static.wide >= 1, own
        code = assemble(compile_ptx(getattr(importlib.import_module(module), own), signature, capability), capability)
        assert code is None or (code.stack == code.spilled == 0 and code.registers <= ROW_REGISTERS), own


def test_figures_of_a_card_are_those_of_its_kernel(simulated, ops):
    """A copy of 4 bytes in and out; what is known of registers depends on ptxas alone."""
    value = certify_cuda.figures(ops()["relu"], simulated("relu", (9, 0)))[0]
    assert (value.output, value.error, value.beside_roots, value.bytes, value.access) == ("value", 0.0, False, 8, 16)
    assert value.instructions <= 12
    assert (value.registers is None) == (PTXAS is None)


def test_a_copy_shows_how_memory_is_moved(device_array, simulated):
    kernel = simulated("relu", (9, 0))
    kernel(device_array(np.ones(4096, np.float32)))
    counts = kernel._driver.runs[-1].counts
    wide = {text: n for text, n in counts.sectors_per_request().items() if ".v4." in text}
    assert set(wide.values()) == {16.0}
    assert len(wide) == 2
    assert all(counts.efficiency(text) == 1.0 for text in wide)
