"""Every mistake with memory and synchronisation that a CUDA kernel can make is found; a correct one beside it runs."""

from __future__ import annotations

import re

import numpy as np
import pytest

from symgen.ptx import (
    DataRace,
    Divergence,
    Misaligned,
    OutOfBounds,
    Pointer,
    PtxError,
    Uninitialised,
    UnknownPtx,
    launch,
)

SHARED = ".visible .shared .align 4 .b8 buffer[1024];"
LOAD = "address %rd2 = p0 + 4 * %rd1\nld.global.f32 %f1, [%rd2]"
STORE = "address %rd3 = p1 + 4 * %rd1\nst.global.f32 [%rd3], %f2"
OWN = "mov.u32 %r10, buffer\nmad.lo.s32 %r11, %r1, 4, %r10\nst.shared.f32 [%r11], %f1"
OTHER = "sub.s32 %r12, 255, %r1\nmad.lo.s32 %r13, %r12, 4, %r10\nld.shared.f32 %f2, [%r13]"
SYNC = "bar.sync 0"


def reverse(execute, *lines: str, block: int = 256) -> np.ndarray:
    """Run a kernel that should reverse 256 numbers through shared memory."""
    x, y = np.arange(256, dtype=np.float32), np.zeros(256, np.float32)
    execute("\n".join(lines), x, y, block=block, declarations=SHARED)
    return y


def test_a_barrier_orders_a_write_and_the_reads_of_others(execute):
    assert reverse(execute, LOAD, OWN, SYNC, OTHER, STORE).tolist() == list(range(255, -1, -1))


def test_a_missing_barrier_is_a_race_even_if_a_value_would_come_out(execute):
    with pytest.raises(
        DataRace, match=r"threads \d+ and \d+ race for shared: a read beside a write.*\n.*ld.shared.f32"
    ):
        reverse(execute, LOAD, OWN, OTHER, STORE)


def test_overwriting_what_others_may_still_read_is_a_race(execute):
    again = "st.shared.f32 [%r11], %f2"
    with pytest.raises(DataRace, match=r"a write beside a read.*\n.*st.shared.f32 \[%r11\], %f2"):
        reverse(execute, LOAD, OWN, SYNC, OTHER, again, STORE)
    reverse(execute, LOAD, OWN, SYNC, OTHER, SYNC, again, STORE)


def test_a_barrier_of_the_warp_orders_the_warp_alone(execute):
    partner = "xor.b32 %r12, %r1, {}\nmad.lo.s32 %r13, %r12, 4, %r10\nld.shared.f32 %f2, [%r13]"
    assert reverse(execute, LOAD, OWN, "bar.warp.sync -1", partner.format(31), STORE)[:2].tolist() == [31, 30]
    with pytest.raises(DataRace):
        reverse(execute, LOAD, OWN, "bar.warp.sync -1", partner.format(32), STORE)
    with pytest.raises(DataRace):
        reverse(execute, LOAD, OWN, partner.format(31), STORE)


def test_a_shuffle_does_not_order_memory(execute):
    partner = "xor.b32 %r12, %r1, 1\nmad.lo.s32 %r13, %r12, 4, %r10\nld.shared.f32 %f2, [%r13]"
    with pytest.raises(DataRace):
        reverse(execute, LOAD, OWN, "shfl.sync.bfly.b32 %f3, %f1, 1, 31, -1", partner, STORE)


def test_two_threads_that_write_one_word_race(execute):
    body = f"{LOAD}\nshr.u64 %rd4, %rd1, 1\naddress %rd3 = p1 + 4 * %rd4\nst.global.f32 [%rd3], %f1"
    with pytest.raises(DataRace, match=r"threads 0 and 1 race for argument 1: a write beside a write"):
        execute(body, np.zeros(32, np.float32), np.zeros(32, np.float32))


def test_blocks_are_never_ordered(execute):
    body = "mov.u32 %r2, %ctaid.x\nmov.f32 %f1, 0f3F800000\nst.global.f32 [%rd50], %f1"
    execute(body, np.zeros(1, np.float32), block=1)
    with pytest.raises(DataRace):
        execute(body, np.zeros(1, np.float32), grid=2, block=1)


def test_atomic_updates_do_not_race_with_each_other_but_with_other_accesses(execute):
    body = "mov.f32 %f1, 0f3F800000\natom.global.add.f32 %f2, [%rd50], %f1"
    total = np.zeros(1, np.float32)
    execute(body, total, grid=3, block=64)
    assert total[0] == 192
    with pytest.raises(DataRace, match="a read beside a atomic"):
        execute(f"{body}\nld.global.f32 %f3, [%rd50]", total, grid=3, block=64)


def test_shared_memory_that_nothing_has_written_cannot_be_read(execute):
    guarded = (
        "setp.lt.u32 %p1, %r1, 255\nmov.u32 %r10, buffer\nmad.lo.s32 %r11, %r1, 4, %r10\n@%p1 st.shared.f32 [%r11], %f1"
    )
    with pytest.raises(Uninitialised, match="thread 0 reads shared memory that nothing has written"):
        reverse(execute, LOAD, guarded, SYNC, OTHER, STORE)


def test_a_register_that_nothing_has_written_cannot_be_read(execute):
    with pytest.raises(Uninitialised, match=r"%f7 is read before.*\n  PTX line \d+: add.f32 %f1, %f7, %f7"):
        execute("add.f32 %f1, %f7, %f7", np.zeros(1, np.float32))


@pytest.mark.parametrize("elsewhere", ["st.global.f32 [%rd3], %f1", "bar.sync 0", "ret"])
def test_a_barrier_that_a_part_of_the_block_reaches_is_an_error(elsewhere, execute):
    body = f"""
        {LOAD}
        address %rd3 = p1 + 4 * %rd1
        setp.lt.u32 %p1, %r1, 128
        @%p1 bra $first
        {elsewhere}
        bra.uni $end
        $first:
        bar.sync 0
        $end:
        {"" if elsewhere == "bar.sync 0" else "bar.sync 0"}
    """
    with pytest.raises(Divergence, match=r"128 of 256 threads of a block reach this barrier\n.*bar.sync 0"):
        execute(body, np.zeros(256, np.float32), np.zeros(256, np.float32), block=256)


def test_a_shuffle_in_divergent_code_is_an_error(execute):
    body = f"""
        {LOAD}
        and.b32 %r2, %r1, 1
        setp.eq.s32 %p1, %r2, 1
        @%p1 bra $end
        shfl.sync.bfly.b32 %f2, %f1, 1, 31, -1
        $end:
    """
    with pytest.raises(Divergence, match=r"the mask names thread 1, which is not here\n.*shfl.sync"):
        execute(body, np.zeros(32, np.float32))
    named = body.replace("31, -1", "31, 0x55555555")
    with pytest.raises(Divergence, match="a value is taken from thread 1, which is not here"):
        execute(named, np.zeros(32, np.float32))
    execute(named.replace("%f1, 1,", "%f1, 2,"), np.zeros(32, np.float32))


def test_a_thread_must_be_named_by_its_own_mask(execute):
    with pytest.raises(Divergence, match="not named by the mask"):
        execute(f"{LOAD}\nshfl.sync.bfly.b32 %f2, %f1, 1, 31, 1", np.zeros(32, np.float32))


def test_a_shuffle_from_lanes_beyond_a_short_block_is_an_error(execute):
    body = f"{LOAD}\nshfl.sync.bfly.b32 %f2, %f1, 16, 31, -1"
    execute(body, np.zeros(32, np.float32))
    with pytest.raises(Divergence, match="thread 20, which is not here"):
        execute(body, np.zeros(20, np.float32), block=20)


def test_a_missing_guard_reads_outside_the_array(execute):
    with pytest.raises(OutOfBounds, match=r"thread 30: byte 120 of argument 0 cannot be read \(it has 120 bytes\)"):
        execute(LOAD, np.zeros(30, np.float32))


@pytest.mark.parametrize("offset", [-4, -4096, 128, 4096, 1 << 40])
def test_an_index_that_is_off_hits_nothing_else(offset, execute):
    body = f"address %rd2 = p0 + 4 * %rd1\nld.global.f32 %f1, [%rd2+{offset}]"
    with pytest.raises(OutOfBounds):
        execute(body, np.zeros(32, np.float32), np.zeros(32, np.float32))


def test_shared_memory_has_an_end(execute):
    with pytest.raises(OutOfBounds, match="byte 1024 of 1024 bytes of shared memory"):
        execute(
            f"{LOAD}\nmov.u32 %r10, buffer\nst.shared.f32 [%r10+1024], %f1",
            np.zeros(32, np.float32),
            declarations=SHARED,
        )


def test_an_address_of_another_memory_is_an_error(execute):
    with pytest.raises(OutOfBounds, match="outside shared memory"):
        execute(f"{LOAD}\nld.shared.f32 %f2, [%rd2]", np.zeros(32, np.float32), declarations=SHARED)


def test_only_the_elements_of_a_view_may_be_touched(execute):
    whole = np.arange(64, dtype=np.float32)
    stride = "address %rd2 = p0 + 8 * %rd1\nld.global.f32 %f1, [%rd2]"
    execute(stride, whole[::2])
    with pytest.raises(OutOfBounds, match="byte 4 of argument 0 cannot be read"):
        execute(LOAD, whole[::2])
    with pytest.raises(OutOfBounds):
        execute("ld.global.f32 %f1, [%rd50+-4]", whole[1:])


def test_a_read_only_array_cannot_be_written(execute):
    x = np.zeros(32, np.float32)
    x.flags.writeable = False
    execute(LOAD, x)
    with pytest.raises(OutOfBounds, match="cannot be written"):
        execute(f"{LOAD}\nst.global.f32 [%rd2], %f1", x)


def test_a_vector_access_needs_an_aligned_address(execute):
    body = "address %rd2 = p0 + 16 * %rd1\nld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd2]"
    whole = np.zeros(129, np.float32)
    execute(body, whole[:128])
    with pytest.raises(Misaligned, match=r"is no multiple of 16 bytes\n.*ld.global.v4.f32"):
        execute(body, whole[1:])


def test_views_of_one_array_share_their_memory(execute):
    x = np.arange(64, dtype=np.float32)
    execute("address %rd2 = p0 + 4 * %rd1\nld.global.f32 %f2, [%rd2]\n" + STORE, x[:32], x[32:])
    assert x[32:].tolist() == list(range(32))
    with pytest.raises(DataRace):
        execute("address %rd2 = p0 + 4 * %rd1\nld.global.f32 %f2, [%rd2]\n" + STORE, x[:32], x[1:33])


def test_a_kernel_that_does_not_end_is_an_error(execute):
    with pytest.raises(PtxError, match="does not end"):
        execute("$again:\nadd.s32 %r1, %r1, 1\nbra.uni $again", np.zeros(1, np.float32), limit=100)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mov.u32 %q1, 3", "the register %q1 is not declared"),
        ("mov.u64 %rd2, nowhere", "nowhere is declared nowhere"),
        ("bra $nowhere", "a branch to an unknown place"),
        ("bar.sync 1, 64", "a barrier for a part of the block"),
        ("call.uni helper", "unknown instruction 'call.uni'"),
        ("mov.u64 %r2, %rd1", "%r2 has 32 bits and is written as u64"),
        ("add.f64 %d1, %f50, %f50", "%f50 has 32 bits and is read as f64"),
    ],
)
def test_what_cannot_run_is_an_error_with_its_line(line, message, execute):
    with pytest.raises(PtxError, match=rf"{message}\n  PTX line \d+: {re.escape(line)}"):
        execute(f"mov.f32 %f50, 0f00000000\n{line}", np.zeros(1, np.float32))


def test_the_arguments_must_fit_the_parameters():
    text = ".target sm_90\n.entry k(.param .u64 a, .param .u32 n)\n{\nret;\n}"
    launch(text, 1, 1, [Pointer(np.zeros(1)), 3])
    with pytest.raises(PtxError, match="k has 2 parameters, the arguments give 8"):
        launch(text, 1, 1, [np.zeros(1), 3])
    with pytest.raises(PtxError, match="1 block of 1 to 1024"):
        launch(text, 1, 2048, [])
    with pytest.raises(UnknownPtx):
        launch("nonsense", 1, 1, [])
