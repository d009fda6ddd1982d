"""What tests compare of two texts of one kernel."""

from __future__ import annotations

import re


def unnumbered(text: str) -> str:
    """PTX without what tells kernels of one name apart."""
    return re.sub(r"B\d+v\d+B\w*?_3dE", "", text).strip("\0\n ")
