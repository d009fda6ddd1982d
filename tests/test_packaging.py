"""The wheel and the sdist: built, looked into, and used from an empty folder with no checkout in sight."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import symgen

from .conftest import ROOT

pytestmark = pytest.mark.slow

USE_CATALOGUE = """
import numpy as np
import symgen, symgen.functional as F
from pathlib import Path
assert "site" in Path(symgen.__file__).parts, symgen.__file__
x = np.linspace(-20, 20, 1001, dtype=np.float32)
assert F.sigmoid(x).dtype == np.float32
assert F.sigmoid.grad(np.float32(18)) > 1e-8
assert F.gelu.grad(x, order=2).shape == x.shape
assert "sympy" not in __import__("sys").modules
"""

USE_PROJECT = """
import numpy as np
from outside.kernels import swoosh
assert abs(float(swoosh(1.0)) - np.e / (1 + np.e)) < 1e-15
"""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it and not from the checkout."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    return next(distributions.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables under which Python finds symgen in the unpacked wheel, and its dependencies where tests have them."""
    site = tmp_path_factory.mktemp("installed") / "site"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
    ]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": str(site), "NUMBA_CACHE_DIR": str(site.parent / "cache")}


def test_wheel_holds_what_it_needs_and_nothing_else(wheel: Path) -> None:
    """Specs, templates, kernels, stubs and the type marker are inside; tests and caches are not."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "symgen/cli.py", "symgen/py.typed", "symgen/functional.pyi", "symgen/generated/manifest.json",
        "symgen/generated/activations/gelu.py", "symgen/_data/specs/activations/gelu.py",
        "symgen/_data/templates/numba_cpu/elementwise.py.jinja", "symgen/_data/templates/latex/card.tex.jinja",
        "symgen/runtime/intrinsics.py",
    } <= names  # fmt: skip
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"symgen", f"symgen-{symgen.__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".nbi", ".nbc", ".tmp", ".pyc"))]


def test_wheel_declares_the_command(wheel: Path) -> None:
    """Installing the wheel puts ``symgen`` on the path."""
    archive = zipfile.ZipFile(wheel)
    name = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "symgen = symgen.cli:main" in archive.read(name).decode()


def test_sdist_holds_all_that_is_built_and_tested_from(distributions: Path) -> None:
    """From the sdist alone one can build, run the tests and read the licence."""
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "LICENSE", "README.md", "run.py", "pyproject.toml", "tests/conftest.py", "specs/activations/gelu.py",
        "generated/manifest.json", "templates/latex/card.tex.jinja", "docs/demo.py",
    } <= names  # fmt: skip
    assert not [name for name in names if "__pycache__" in name or name.endswith((".nbi", ".nbc", ".pdf"))]


def test_catalogue_from_the_wheel(environment: dict[str, str], tmp_path: Path) -> None:
    """An installed symgen offers its kernels in an empty folder, and needs no SymPy for them."""
    done = subprocess.run(
        [sys.executable, "-c", USE_CATALOGUE], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_project_from_the_wheel(environment: dict[str, str], tmp_path: Path) -> None:
    """init, new and build from the wheel make kernels that run without symgen."""
    root = tmp_path / "outside"
    root.mkdir()
    for arguments in (["init"], ["new", "swoosh"], ["build"], ["check"], ["list"], ["show", "relu"]):
        done = subprocess.run(
            [sys.executable, "-m", "symgen", *arguments], cwd=root, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (arguments, done.stderr)
    alone = {**environment, "PYTHONPATH": str(root)}
    program = f"import sys\nsys.modules['symgen'] = None\n{USE_PROJECT}"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=alone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_spec_of_a_user_may_import_the_catalogue(environment: dict[str, str], tmp_path: Path) -> None:
    """``from symgen.catalogue import softplus`` works in a spec of a project outside the checkout."""
    root = tmp_path / "outside"
    (root / "specs").mkdir(parents=True)
    (root / "specs/swoosh.py").write_text(
        '"""Swoosh."""\n\nfrom symgen.catalogue import sigmoid\nfrom symgen.spec import activation\n\n\n'
        '@activation()\ndef swoosh(x):\n    """The input, gated by itself."""\n    return x * sigmoid(x)\n'
    )
    for arguments in (["init"], ["build"]):
        done = subprocess.run(
            [sys.executable, "-m", "symgen", *arguments], cwd=root, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [sys.executable, "-c", USE_PROJECT], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_checkout_finds_its_generated_kernels() -> None:
    """In a checkout, ``symgen.generated`` is the folder beside the package."""
    import symgen.generated

    assert Path(symgen.generated.__path__[0]).resolve() == ROOT / "generated"


def test_nothing_is_imported_through_the_extended_path() -> None:
    """The checkout's other folders are reachable as ``symgen.tests`` and the like; no module uses that."""
    for path in sorted((ROOT / "symgen").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for folder in ("tests", "specs", "docs", "benchmarks", "symgen"):
            assert f"import symgen.{folder}" not in text.replace("symgen.spec ", ""), path
            assert f"from symgen.{folder} " not in text, path
