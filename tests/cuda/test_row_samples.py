"""Row functions of several operands or with options (norms, losses of vectors) on GPUs: as on the processor."""

from __future__ import annotations

import numpy as np

import symgen.functional as F
from symgen.certify_rows import joined
from symgen.rows.samples import sample
from tests.rows.hard import OPS

SHARED = {"param", "weight"}


def test_samples_give_what_the_processor_gives_in_float64(row_sample, device_array, simulated):
    """The value and the gradient in the first operand, three samples at once, options off their defaults."""
    kernel, plain, op = simulated(row_sample, (9, 0)), getattr(F, row_sample), OPS[row_sample]
    variant = op.variants[0]
    for n in (3, 33):
        arrays, _ = sample(op, variant, n, 1)
        options = {a.name: arrays[a.name] for a in op.options if a.name in arrays}
        options |= {k: v for k, v in variant.settings if k in {a.name for a in op.options} and v != "given"}
        options |= {"reduction": "none"} if op.kind == "loss" else {}
        operands = {a.name: np.float32(joined(arrays[a.name], a.role)) for a in op.operands}
        kept = {a.name for a in op.operands if a.role.kind in SHARED}
        operands = {k: v if k in kept else np.stack([v, v / 2 + 0.25, np.flip(v)]) for k, v in operands.items()}
        wide = {k: v.astype(np.float64) for k, v in operands.items()}
        device = {k: device_array(v) for k, v in operands.items()}
        wanted = plain(**wide, **options)
        np.testing.assert_allclose(kernel(**device, **options).memory, wanted, rtol=1e-6, atol=1e-7)
        wrt, g = (op.operands[0].name,), np.linspace(0.5, 1.5, wanted.size, dtype=np.float32).reshape(wanted.shape)
        slope = plain.vjp(g.astype(np.float64), **wide, **options, wrt=wrt)
        found = kernel.vjp(device_array(g), **device, **options, wrt=wrt)
        np.testing.assert_allclose(found.memory, slope, rtol=1e-5, atol=1e-6)
