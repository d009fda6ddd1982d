"""Threads of a warp exchange values and votes, branches part and join them, atomics take turns."""

from __future__ import annotations

import numpy as np
import pytest

from symgen.ptx.errors import Divergence

NUMBER = "cvt.rn.f32.u32 %f1, %r1"
STORE = "address %rd3 = p0 + 4 * %rd1\nst.global.f32 [%rd3], %f2"
COUNT = "address %rd3 = p0 + 4 * %rd1\nst.global.u32 [%rd3], %r5"
LANES = np.arange(64)


@pytest.mark.parametrize(
    ("mode", "step", "clamp", "source"),
    [
        ("bfly", 5, 31, LANES ^ 5),
        ("down", 3, 31, np.where(LANES % 32 + 3 < 32, LANES + 3, LANES)),
        ("up", 3, 0, np.where(LANES % 32 >= 3, LANES - 3, LANES)),
        ("idx", 7, 31, LANES // 32 * 32 + 7),
        ("bfly", 4, 0x181F, LANES ^ 4),
        ("down", 3, 0x181F, np.where(LANES % 8 + 3 < 8, LANES + 3, LANES)),
        ("idx", 3, 0x181F, LANES // 8 * 8 + 3),
    ],
)
def test_a_shuffle_takes_the_value_of_the_lane_that_its_mode_says(mode, step, clamp, source, execute):
    out = np.zeros(64, np.float32)
    execute(f"{NUMBER}\nshfl.sync.{mode}.b32 %f2|%p2, %f1, {step}, {clamp}, -1\n{STORE}", out, block=64)
    assert out.tolist() == source.tolist()


def test_a_butterfly_sums_a_warp(execute):
    out = np.zeros(64, np.float32)
    steps = "\n".join(f"shfl.sync.bfly.b32 %f3, %f2, {s}, 31, -1\nadd.f32 %f2, %f2, %f3" for s in (16, 8, 4, 2, 1))
    execute(f"{NUMBER}\nmov.f32 %f2, %f1\n{steps}\n{STORE}", out, block=64)
    assert set(out[:32]) == {496.0}
    assert set(out[32:]) == {1520.0}


def test_votes_tell_who_holds(execute):
    out = np.zeros(64, np.uint32)
    execute(f"setp.lt.u32 %p1, %r1, 3\nvote.sync.ballot.b32 %r5, %p1, -1\n{COUNT}", out, block=64)
    assert out[[0, 31, 32]].tolist() == [7, 7, 0]
    for mode, want in {"any": [1, 0], "all": [0, 0], "uni": [0, 1]}.items():
        vote = f"vote.sync.{mode}.pred %p2, %p1, -1\nselp.u32 %r5, 1, 0, %p2"
        execute(f"setp.lt.u32 %p1, %r1, 3\n{vote}\n{COUNT}", out, block=64)
        assert out[[0, 32]].tolist() == want, mode


def test_threads_of_a_loop_leave_it_one_by_one_and_join_behind_it(execute):
    out = np.zeros(64, np.uint32)
    body = f"""
        mov.u32 %r5, 0
        setp.eq.u32 %p1, %r1, 0
        @%p1 bra $end
        $loop:
        add.s32 %r5, %r5, %r1
        setp.lt.u32 %p2, %r5, 100
        @%p2 bra $loop
        $end:
        vote.sync.ballot.b32 %r6, %p1, -1
        {COUNT}
    """
    execute(body, out, block=64)
    assert out.tolist() == [0, *(-(-100 // i) * i for i in range(1, 64))]


def test_a_guarded_instruction_leaves_the_others_as_they_were(execute):
    out = np.zeros(4, np.uint32)
    execute(
        f"mov.u32 %r5, 7\nsetp.lt.u32 %p1, %r1, 2\n@%p1 mov.u32 %r5, 1\n@!%p1 add.s32 %r5, %r5, 2\n{COUNT}",
        out,
        block=4,
    )
    assert out.tolist() == [1, 1, 9, 9]


def test_compare_and_swap_lets_one_thread_win(execute):
    cell, out = np.zeros(1, np.uint32), np.zeros(32, np.uint32)
    execute("add.s32 %r4, %r1, 1\natom.global.cas.b32 %r5, [%rd50], 0, %r4\n" + COUNT.replace("p0", "p1"), cell, out)
    assert cell[0] == 1
    assert out.tolist() == [0, *[1] * 31]


def test_local_memory_is_each_threads_own(execute):
    out = np.zeros(64, np.uint32)
    body = f"mov.u64 %rd4, depot\ncvta.local.u64 %rd5, %rd4\nst.local.u32 [%rd4+4], %r1\nld.u32 %r5, [%rd5+4]\n{COUNT}"
    execute(body, out, block=64, declarations=".local .align 4 .b8 depot[8];")
    assert out.tolist() == list(range(64))


def test_a_table_of_constants_can_be_read(execute):
    out = np.zeros(4, np.uint32)
    body = f"mov.u64 %rd4, table\nmad.lo.s64 %rd5, %rd1, 4, %rd4\nld.global.nc.u32 %r5, [%rd5]\n{COUNT}"
    execute(body, out, block=4, declarations=".global .align 4 .u32 table[4] = {5, 6, 0x10, 4294967295};")
    assert out.tolist() == [5, 6, 16, 2**32 - 1]


def test_a_shuffle_waits_for_threads_that_come_from_further_down(execute):
    out = np.zeros(64, np.float32)
    body = f"""
        {NUMBER}
        and.b32 %r2, %r1, 1
        setp.eq.s32 %p1, %r2, 1
        @%p1 bra $later
        $meet:
        shfl.sync.bfly.b32 %f2|%p2, %f1, 1, 31, -1
        bra.uni $end
        $later:
        add.f32 %f1, %f1, %f1
        bra.uni $meet
        $end:
        {STORE}
    """
    execute(body, out, block=64)
    assert out.tolist() == np.where(LANES % 2 == 0, 2 * (LANES + 1), LANES - 1).tolist()


def test_a_shuffle_does_not_wait_for_ever(execute):
    body = f"""
        {NUMBER}
        setp.eq.s32 %p1, %r1, 3
        @%p1 bra $later
        $meet:
        shfl.sync.bfly.b32 %f2|%p2, %f1, 1, 31, -1
        ret
        $later:
        shfl.sync.bfly.b32 %f2|%p2, %f1, 1, 31, -1
        ret
    """
    with pytest.raises(Divergence, match="the mask names thread 0, which is not here"):
        execute(body, np.zeros(64, np.float32), block=64)
