"""Kernels that no other test compiles: some of each function every time, all of them where SYMGEN_EVERY_KERNEL=1.

All of them take thirteen minutes of processor time, as long as all other tests of CUDA kernels together.
"""

from __future__ import annotations

import os
import re
import zlib
from importlib import import_module
from pathlib import Path

import pytest

from symgen.cuda_contract import Generated, complaints, generated, texts
from tests.cuda.test_contract import kernels

EVERY = os.environ.get("SYMGEN_EVERY_KERNEL", "") == "1"
SOME = 2  # of each function
ANY_ORDER = r"p_ne_inf_p_ne_2_p_ne_1_(warp|block)"
# Known misses, of the budget of instructions alone; README.md says so. Most are sums and derivatives in float64 of one
# element, little above it, and gradients of distances of any order, in whose rows it counts no powers of float64.
DEAR = {
    "normalize": f"vjp_p_f64_{ANY_ORDER}",
    "poisson_nll_loss": "sum_value_and_vjp_f64_log_input_full_each",
    "sigmoid_focal_loss": r"sum_vjp_gamma_f64_alpha_\w+_each|grad2_f64_alpha_given_each",
    "student_t_nll_loss": "sum_value_and_vjp_f32_each|value_f64_each"
                          "|(grad_df|value_and_grad|sum_vjp_df|sum_value|sum_value_and_vjp)_f64(_each)?",
    "triplet_margin_loss": f"(vjp|value_and_grad|vjp_p|vjp_eps)_f64_(no_)?swap_{ANY_ORDER}(_wide)?"
                           f"|(value|vjp_margin)_f64_swap_{ANY_ORDER}|vjp_eps_f64_swap_p_eq_inf_block"
                           f"|vjp_p_f32_swap_{ANY_ORDER.replace('warp|', '')}"
                           "|(vjp|value_and_grad)_f32_swap_p_eq_inf_block"
                           "|vjp_eps_f32_swap_(p_eq_inf|p_ne_inf_p_eq_2)_block",
}  # fmt: skip
TIMES = 3.2  # and none takes more of it than that
SAID = re.compile(r": (\d+) instructions of (\d+)$")


def rest(module: str, inspected: set[str]) -> list[Generated]:
    """The kernels of a module but for those that are held to their contract anyway; some of them run elsewhere."""
    return [k for k in generated(module).values() if k.name not in inspected]


def some(found: list, turn: int) -> list:
    """A few, spread over all; other turns take others."""
    step = -(-len(found) // SOME)
    return found[turn % step :: step] if found else []


def turn_of(module: str) -> int:
    """It changes with the text of the module, as kernels do."""
    return zlib.crc32(Path(str(import_module(module).__file__)).read_bytes())


def test_other_kernels_keep_their_contract_too(function, simulated):
    """Unaligned arrays, float64, long rows: for sm_80, sm_90 and sm_100; and what is known to be dear is still so."""
    device = simulated(function, (9, 0))
    found = rest(device._module, {k.name for k in kernels(device)})
    for kernel in found if EVERY else some(found, turn_of(device._module)):
        signature = kernel.signature(device._caller.function)
        broken = list(complaints(kernel, signature, texts(kernel.kernel, signature)))
        if not re.fullmatch(DEAR.get(function, "(?!)"), kernel.name):
            assert not broken, broken
            continue
        assert broken, f"{kernel.name} keeps its budget now"
        for said in map(SAID.search, broken):
            assert said is not None, broken
            assert int(said[1]) <= TIMES * int(said[2]), broken


def test_what_is_known_to_be_dear_is_there(simulated):
    """Each exception is that of a kernel."""
    for function, pattern in DEAR.items():
        names = generated(simulated(function, (9, 0))._module)
        assert any(re.fullmatch(pattern, n) for n in names), function


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 24])
def test_some_are_a_few_of_all_and_in_time_each(count):
    numbered = list(range(count))
    chosen = [some(numbered, turn) for turn in range(max(count, 1))]
    assert all(len(c) <= SOME for c in chosen)
    assert set().union(*chosen) == set(numbered)
