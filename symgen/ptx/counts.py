"""What a run costs, as far as PTX tells: instructions, memory sectors per request, bank conflicts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from symgen.ptx.types import Array

SECTOR = 32  # bytes that global memory moves at least
BANKS = 32  # of four bytes each


@dataclass
class Traffic:
    """One memory instruction: warps that issued it, sectors they touched, bytes they asked for, worst bank conflict."""

    requests: int = 0
    sectors: int = 0
    bytes: int = 0
    ways: int = 0


@dataclass
class Counts:
    """Counts of one run.

    Attributes:
        warps: of the grid.
        instructions: how often warps issued each opcode; a warp whose threads diverge issues a line several times.
        traffic: of each memory instruction, by its text.
    """

    warps: int = 0
    instructions: Counter[str] = field(default_factory=Counter)
    traffic: dict[str, Traffic] = field(default_factory=dict)

    @property
    def instructions_per_warp(self) -> float:
        return self.instructions.total() / self.warps if self.warps else 0.0

    def efficiency(self, text: str) -> float:
        """Which share of the bytes that an instruction moved was asked for."""
        traffic = self.traffic[text]
        return traffic.bytes / (SECTOR * traffic.sectors) if traffic.sectors else 1.0

    def sectors_per_request(self) -> dict[str, float]:
        """For each instruction on global memory the sectors that a warp touches; 4 for coalesced 4-byte accesses."""
        return {text: t.sectors / t.requests for text, t in self.traffic.items() if t.sectors}

    def bank_conflicts(self) -> dict[str, int]:
        """For each instruction on shared memory how many accesses the worst bank had to serve one after the other."""
        return {text: t.ways for text, t in self.traffic.items() if t.ways}

    def global_access(self, text: str, warps: Array, addresses: Array, size: int) -> None:
        traffic = self.traffic.setdefault(text, Traffic())
        first, last = addresses // SECTOR, (addresses + size - 1) // SECTOR
        keys = [warps * (1 << 40) + first, *([warps * (1 << 40) + last] if np.any(first != last) else [])]
        traffic.requests += np.unique(warps).size
        traffic.sectors += np.unique(np.concatenate(keys)).size
        traffic.bytes += addresses.size * size

    def shared_access(self, text: str, warps: Array, offsets: Array, size: int) -> None:
        """Vector accesses are served in parts of as many threads as fill the banks once."""
        traffic = self.traffic.setdefault(text, Traffic())
        traffic.requests += np.unique(warps).size
        word = np.unique(warps.astype(np.int64) * (1 << 24) + offsets // 4)
        _, ways = np.unique((word >> 24) * BANKS + word % BANKS, return_counts=True)
        traffic.ways = max(traffic.ways, int(ways.max()), 1)
        traffic.bytes += offsets.size * size
