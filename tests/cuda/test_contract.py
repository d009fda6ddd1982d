"""What the text of every kernel promises: its arithmetic, its memory accesses, and how much work an element is."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from symgen import certify_cuda
from symgen.cuda_code import CAPABILITIES, assemble, compile_ptx, ptxas
from symgen.cuda_contract import (
    OF_POWER,
    POWER,
    BrokenContractError,
    Generated,
    Inspector,
    complaints,
    generated,
    texts,
)
from tests.cuda.texts import unnumbered

PTXAS = ptxas()
ASSEMBLED = re.compile(r"(?:value|grad|vjp)_f32")


def kernels(device) -> list[Generated]:
    """The float32 kernels with vectors, of rows those of a warp, and those in phases, which have none.

    All others are inspected when a test runs them.
    """
    found = generated(device._module).values()
    return [k for k in found if k.arithmetic == "f32" and (k.has_vectors or "phase" in k.parameters)
            and "_block" not in k.name]


def test_float32_kernels_keep_their_contract_on_every_architecture(function, simulated):
    """No float64, no local memory, results as vectors of 16 bytes, instructions within budget: sm_80, sm_90, sm_100."""
    device = simulated(function, (9, 0))
    found = kernels(device)
    for kernel in found:
        made = device._driver.inspected(kernel.kernel, kernel.signature(device._caller.function))
        assert set(made) == set(CAPABILITIES)
    assert len(found) >= 2


def test_architectures_of_a_generation_differ_in_the_heads_of_texts_alone(function, simulated):
    """One kernel of each function, by turns one of every kind: what NVVM makes for sm_90 is what stands for it."""
    device = simulated(function, (9, 0))
    found = kernels(device)
    kernel = found[len(function) % len(found)]
    signature = kernel.signature(device._caller.function)
    made = compile_ptx(kernel.kernel, signature, (9, 0))
    assert ".target sm_90" in made
    assert unnumbered(made) == unnumbered(device._driver.inspected(kernel.kernel, signature)[9, 0].text)


def test_what_breaks_the_contract_is_said(simulated):
    """float64 in a kernel that should have none, a budget that is too small, results that are no vectors."""
    device = simulated("relu", (9, 0))
    known = generated(device._module)
    double = known["value_f64"]
    signature = double.signature(device._caller.function)
    made = texts(double.kernel, signature)
    body = "load4(x, i)\n" + "store4(out, i)\n" * 9
    single = Generated(double.module, "value_f32", double.parameters, body, slow=False)
    found = list(complaints(single, signature, made))
    assert len(found) == 2 * len(CAPABILITIES)
    assert re.fullmatch(r"sm_80: .*relu.value_f32: \d+ instructions on float64", found[0])
    assert found[1].endswith("1 stores of 16 bytes for 9 results")
    assert list(complaints(known["value_f64"], signature, made)) == []
    each = known["value_f64_each"]
    promising = replace(each, body=double.body)
    lacking = {c.rpartition(": ")[2] for c in complaints(promising, signature, texts(each.kernel, signature))}
    assert lacking == {"0 loads of 16 bytes for 1 arrays", "0 stores of 16 bytes for 1 results"}


def test_a_power_has_instructions_and_registers_of_its_own(simulated):
    """For each that its text calls for, in an elementwise kernel, and of a row for each loop that has one."""
    focal = generated(simulated("sigmoid_focal_loss", (9, 0))._module)
    plain = generated(simulated("mse_loss", (9, 0))._module)["value_f32"]
    value, both = focal["value_f32_alpha_none"], focal["value_and_grad_f32_alpha_none"]
    assert (plain.powers, value.powers, both.powers) == (0, 5, 10)  # four at once, and one of what is left over
    assert value.budget == plain.budget + 5 * POWER["elementwise"]["f32"]
    assert value.registers == plain.registers + OF_POWER
    rows = generated(simulated("normalize", (9, 0))._module)
    assert any(k.powers for k in rows.values())
    assert all(k.powers == 0 for k in rows.values() if "p_eq_2" in k.name)


def test_a_kernel_that_breaks_it_does_not_run(simulated, monkeypatch, device_array):
    monkeypatch.setattr("symgen.cuda_contract.ELEMENT", {"f32": 1, "f64": 1})
    kernel = type(simulated("relu", (9, 0)))
    device = simulated("relu", (9, 0))
    strict = kernel(device._caller, device._module, Inspector((9, 0)))
    with pytest.raises(BrokenContractError, match=r"relu\.value_f32: .* instructions of 5"):
        strict(device_array(np.ones(8, np.float32)))


@pytest.mark.skipif(PTXAS is None, reason="ptxas is not installed: PTX alone was checked")
def test_machine_code_spills_nothing(function, simulated):
    """At every architecture the value, at one the derivatives too: no stack, no spills, registers within budget."""
    device = simulated(function, (9, 0))
    own = device._caller.function
    chosen = [k for k in kernels(device) if ASSEMBLED.match(k.name) and not k.slow]
    for i, kernel in enumerate(chosen):
        made = device._driver.inspected(kernel.kernel, kernel.signature(own))
        for capability in CAPABILITIES if i == 0 else CAPABILITIES[1:2]:
            code = assemble(made[capability].text, capability)
            assert (code.stack, code.spilled) == (0, 0), (kernel.name, capability)
            assert code.registers <= kernel.registers, (kernel.name, capability)


def test_figures_of_a_card_are_those_of_its_kernel(simulated, ops):
    """A copy of 4 bytes in and out; what is known of registers depends on ptxas alone."""
    value = certify_cuda.figures(ops()["relu"], simulated("relu", (9, 0)))[0]
    assert (value.output, value.error, value.beside_roots, value.bytes, value.access) == ("value", 0.0, 0.0, 8, 16)
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
