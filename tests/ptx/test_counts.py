"""Costs are counted as the hardware has them: warps that issue, 32-byte sectors, ways of bank conflicts."""

from __future__ import annotations

import numpy as np
import pytest

LOAD = "ld.global.f32 %f1, [%rd2]"


@pytest.mark.parametrize(("stride", "sectors", "share"), [(1, 4, 1.0), (2, 8, 0.5), (8, 32, 0.125)])
def test_sectors_show_what_a_stride_wastes(stride, sectors, share, execute):
    run = execute(f"address %rd2 = p0 + {4 * stride} * %rd1\n{LOAD}", np.zeros(256 * stride, np.float32), block=256)
    assert run.counts.sectors_per_request() == {LOAD: sectors}
    assert run.counts.efficiency(LOAD) == share


def test_every_warp_moves_its_own_sectors(execute):
    run = execute(f"mov.u64 %rd2, %rd50\n{LOAD}", np.zeros(1, np.float32), block=256)
    assert run.counts.sectors_per_request() == {LOAD: 1}


def test_a_vector_load_moves_sixteen_sectors_at_once(execute):
    load = "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd2]"
    run = execute(f"address %rd2 = p0 + 16 * %rd1\n{load}", np.zeros(128, np.float32))
    assert run.counts.sectors_per_request() == {load: 16}


@pytest.mark.parametrize(("stride", "ways"), [(1, 1), (2, 2), (32, 32), (33, 1)])
def test_bank_conflicts_show_how_often_a_bank_is_hit(stride, ways, execute):
    store = "st.shared.f32 [%r11], %f1"
    body = f"mov.f32 %f1, 0f00000000\nmov.u32 %r10, buffer\nmad.lo.s32 %r11, %r1, {4 * stride}, %r10\n{store}"
    run = execute(body, np.zeros(1, np.float32), declarations=".shared .align 4 .b8 buffer[8192];")
    assert run.counts.bank_conflicts() == {store: ways}


def test_a_warp_that_diverges_issues_both_sides(execute):
    body = """
        and.b32 %r2, %r1, {}
        setp.eq.s32 %p1, %r2, 0
        @%p1 bra $even
        add.s32 %r3, %r1, 1
        bra.uni $end
        $even:
        add.s32 %r3, %r1, 2
        $end:
        xor.b32 %r4, %r3, 1
    """
    apart = execute(body.format(1), np.zeros(1, np.float32), block=64).counts
    assert (apart.warps, apart.instructions["add.s32"], apart.instructions["xor.b32"]) == (2, 4, 2)
    together = execute(body.format(32), np.zeros(1, np.float32), block=64).counts
    assert together.instructions["add.s32"] == 2
    assert apart.instructions_per_warp > together.instructions_per_warp
