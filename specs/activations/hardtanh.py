"""The identity between two limits."""

from symgen.spec import Real, activation


@activation(torch="hardtanh", symbols={"min_val": "m", "max_val": "M"})
def hardtanh(x, min_val: Real = -1, max_val: Real = 1):
    """Identity between two limits, constant beyond them."""
    assert min_val <= max_val
    return min(max_val, max(min_val, x))
