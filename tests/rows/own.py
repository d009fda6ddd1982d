"""A project of one's own, for tests that run what a build makes of a spec."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any


def built(root: Path, name: str, spec: str) -> Any:
    """The kernels of one file of specs, built as a user would.

    Args:
        root: an empty folder.
        name: of the package that is imported, like no other in this process.
        spec: the text of the file.
    """
    (root / "specs").mkdir()
    (root / f"specs/{name}.py").write_text(spec, encoding="utf-8")
    project = f'[project]\nname = "{name}"\n\n[tool.symgen]\nspecs = "specs"\njobs = 1\n'
    (root / "pyproject.toml").write_text(project, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "symgen", "build"], cwd=root, check=True, capture_output=True)
    sys.path.insert(0, str(root))
    try:
        return importlib.import_module(f"{name}.kernels")
    finally:
        sys.path.remove(str(root))
