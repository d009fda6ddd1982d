"""`symgen warm` and `symgen bench`: kernels compiled ahead of time, and the way to the benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from symgen.cli import Exit, run


def test_warm_compiles_once(tmp_path: Path) -> None:
    """What was warmed lies in the cache of later processes, for the dtypes that were asked for."""
    def warm(*tokens: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "symgen", "warm", "relu", *tokens],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True, text=True, check=True, timeout=300,
        )
        return done.stderr

    assert "1 function: 5 loops compiled, 0 in the cache already" in warm("--dtype", "float32")
    assert "1 function: 0 loops compiled, 5 in the cache already" in warm("--dtype", "float32")
    assert "1 function: 5 loops compiled, 5 in the cache already" in warm()


@pytest.mark.parametrize(("tokens", "word"), [
    (["warm", "relo"], "did you mean 'relu'"), (["warm", "relu", "--dtype", "float8"], "float8"),
    (["bench", "--functions", "relo"], "did you mean 'relu'"), (["bench", "--sizes", "many"], "many"),
])
def test_mistakes(tokens: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake ends with exit code 2 and a word about it."""
    assert run(tokens) == Exit.USAGE
    assert word in capsys.readouterr().err.replace("\n", " ")
