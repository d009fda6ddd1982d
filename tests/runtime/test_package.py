"""The lazy package: nothing is imported early, kernels survive pickling, and what is missing or broken says so."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import multiprocessing
import os
import pickle
import pydoc
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from symgen.backends.stubs import functional_stub, package_init
from symgen.runtime import GeneratedPackageError, Kernel, load_package
from symgen.runtime.package import Catalogue

ROOT = Path(__file__).parents[2]


def python(code: str, *paths: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that sees these folders."""
    joined = os.pathsep.join(map(str, (*paths, ROOT)))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120,
                          env={**os.environ, "PYTHONPATH": joined, **env})


def test_importing_is_lazy(package_folder: Path) -> None:
    """Importing, listing and reading help load neither Numba nor SymPy nor any generated module."""
    code = (
        "import sys, inspect, handmade\n"
        "dir(handmade); str(handmade.gate.__doc__); inspect.signature(handmade.gate.vjp); repr(handmade.soft)\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('numba', 'sympy', 'flint', 'jinja2', 'ml_dtypes')\n"
        "       or m.startswith('handmade.')])\n"
        "print(handmade.gate([2.0]), 'sympy' in sys.modules, 'handmade.activations.gate' in sys.modules,\n"
        "      'handmade.activations.soft' in sys.modules)\n"
    )
    done = python(code, package_folder)
    assert done.stdout.splitlines() == ["[]", "[4.] False True False"], done.stderr


def test_runtime_imports_nothing_else(tmp_path: Path) -> None:
    """A copy of the runtime beside a user's kernels works under another name, without symgen."""
    shutil.copytree(ROOT / "symgen" / "runtime", tmp_path / "_runtime", ignore=shutil.ignore_patterns("__pycache__"))
    done = python(f"import sys; sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}]; import _runtime\n"
                  "print([m for m in sys.modules if m.split('.')[0] == 'symgen'])", tmp_path)
    assert done.stdout.strip() == "[]", done.stderr
    for path in sorted((ROOT / "symgen" / "runtime").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for module in modules:
                top = module.split(".")[0]
                # llvmlite comes with Numba, whose intrinsics are written in it
                assert top in {*sys.stdlib_module_names, "numpy", "numba", "llvmlite"}, (path.name, module)


def test_names(kernels: ModuleType) -> None:
    """The package lists its functions and aliases; an alias is the function itself."""
    assert kernels.__all__ == ["clamp", "clip", "cut", "gate", "mix", "slope", "soft"]
    assert set(kernels.__all__) <= set(dir(kernels))
    assert kernels.clamp is kernels.clip
    assert isinstance(kernels.gate, Kernel)
    scope: dict[str, Any] = {}
    exec("from handmade import *", scope)
    assert scope["gate"] is kernels.gate
    with pytest.raises(AttributeError, match="no function 'gat'; did you mean 'gate'"):
        _ = kernels.gat
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec("from handmade import nothing", {})
    assert not hasattr(kernels, "__wrapped__")
    assert not hasattr(kernels, "_private")


def test_identity(kernels: ModuleType) -> None:
    """Pickling, copying and deep copying give the same kernel; so do its methods' pickles a working method."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(kernels.gate, protocol)) is kernels.gate
        assert pickle.loads(pickle.dumps(kernels.gate.vjp, protocol)) is kernels.gate.vjp
    assert len(pickle.dumps(kernels.gate)) < 100
    assert copy.copy(kernels.gate) is copy.deepcopy(kernels.gate) is kernels.gate
    assert copy.copy(kernels.gate.grad) is copy.deepcopy(kernels.gate.grad) is kernels.gate.grad
    assert len({kernels.gate, kernels.gate, kernels.clip, kernels.clamp}) == 2
    assert repr(kernels.gate) == "<symgen kernel gate(x, *, form='square', scale=1.0, out=None, where=True)>"
    assert "gate.vjp(g, x" in repr(kernels.gate.vjp)
    assert callable(kernels.gate)
    assert (kernels.gate.__name__, kernels.gate.__module__) == ("gate", "handmade")


def _apply(kernel: Any, x: Any) -> tuple[Any, bool]:
    import handmade

    return kernel(x), kernel is handmade.gate or kernel is handmade.gate.grad


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_process_pools(kernels: ModuleType, method: str) -> None:
    """A kernel and its methods work in a pool's workers, even if this process has compiled and called them."""
    x = np.arange(3.0)
    kernels.gate(x)
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        values, same = pool.submit(_apply, kernels.gate, x).result()
        slopes, _ = pool.submit(_apply, kernels.gate.grad, x).result()
    assert same
    np.testing.assert_array_equal(values, x * x)
    np.testing.assert_array_equal(slopes, 2 * x)


def test_signatures(kernels: ModuleType) -> None:
    """Signatures have the spec's names, order and defaults, and what each method adds."""
    assert str(inspect.signature(kernels.soft)) == "(x, beta=1.0, threshold=None, *, out=None, where=True)"
    assert str(inspect.signature(kernels.slope.vjp)) == "(g, x, weight, *, wrt=None, out=None)"
    assert str(inspect.signature(kernels.cut)) == (
        "(x, level, times=1, offset=None, *, out=None, where=True, check=False)")
    assert str(inspect.signature(kernels.mix.grad)) == (
        "(input, target, *, scale=1.0, order=1, wrt=None, out=None, where=True)")
    assert inspect.signature(kernels.gate.value_and_grad).parameters["form"].kind is inspect.Parameter.KEYWORD_ONLY


def test_help(kernels: ModuleType) -> None:
    """Help shows formula, argument shapes, options with their domains, source, PyTorch's name, and runs."""
    shown = pydoc.plain(pydoc.render_doc(kernels.soft))
    for words in ("soft(x, beta=1.0", "log(1 + exp(beta * x)) / beta", "a number != 0; default 1.0",
                  "a number or None; default None", "array of any shape", "bfloat16", "PyTorch: softplus",
                  "Source: specs/activations/soft.py:3", ".vjp(g, x"):
        assert words in shown
    assert "(Ch,) along axis 1" in kernels.slope.__doc__
    assert "None stands for 0" in kernels.cut.__doc__
    assert "an integer >= 1" in kernels.cut.__doc__
    assert "cotangent" in pydoc.plain(pydoc.render_doc(kernels.gate.vjp))


def test_examples_run(kernels: ModuleType) -> None:
    """The example in each function's and each method's help runs and gives no NaN."""
    for name in kernels.__all__:
        kernel = getattr(kernels, name)
        for offered in (kernel, kernel.grad, kernel.vjp, kernel.value_and_grad):
            lines = [line.split(">>> ")[1] for line in offered.__doc__.splitlines() if ">>> " in line]
            assert len(lines) == 3
            scope: dict[str, Any] = {}
            exec("\n".join(lines), scope)
            for result in scope["y"] if isinstance(scope["y"], tuple) else [scope["y"]]:
                assert not np.isnan(result).any()


def test_no_cuda_yet(kernels: ModuleType) -> None:
    """Asking for CUDA, or misspelling an attribute, says what there is."""
    assert not hasattr(kernels.gate, "cuda")
    with pytest.raises(AttributeError, match="CUDA kernels are not part of this build"):
        _ = kernels.gate.cuda
    with pytest.raises(AttributeError, match="did you mean 'value_and_grad'"):
        _ = kernels.gate.value_and_grads


def _broken(folder: Path, text: str | None) -> Catalogue:
    if text is not None:
        (folder / "manifest.json").write_text(text, encoding="utf-8")
    return Catalogue("broken", folder, "broken")


@pytest.mark.parametrize(("text", "words"), [
    (None, "run `symgen build`"),
    ("{", "damaged"),
    ("[]", "run `symgen build --force`"),
    ('{"format": 2, "functions": {}}', "format 2, this runtime reads 1"),
    ('{"format": 1}', "symgen build --force"),
    ('{"format": 1, "functions": {"f": {}}}', "f: its entry in manifest.json is not understood"),
])
def test_broken_manifests(tmp_path: Path, text: str | None, words: str) -> None:
    """A manifest that is missing, damaged or of another format says what to run."""
    with pytest.raises(GeneratedPackageError) as caught:
        _broken(tmp_path, text).kernel("f")
    assert words in str(caught.value)


def test_newer_packages(package_folder: Path, tmp_path: Path) -> None:
    """An archetype, role or axis that this runtime does not know is named."""
    data = json.loads((package_folder / "handmade" / "manifest.json").read_text(encoding="utf-8"))
    data["functions"]["gate"]["archetype"] = "row"
    data["functions"]["mix"]["arguments"][1]["role"] = "ribbon"
    data["functions"]["slope"]["arguments"][1]["axes"][0]["at"] = "1:"
    catalogue = _broken(tmp_path, json.dumps(data))
    for name, words in (("gate", "archetype 'row'"), ("mix", "role 'ribbon'")):
        with pytest.raises(GeneratedPackageError, match=words):
            catalogue.kernel(name)
    with pytest.raises(GeneratedPackageError, match="axis Ch"):
        catalogue.kernel("slope")(np.ones(3), [1.0])


def test_missing_modules(package_folder: Path, tmp_path: Path) -> None:
    """A generated module that is gone, or lacks a loop, names itself and the command; listing still works."""
    folder = tmp_path / "gone"
    shutil.copytree(package_folder / "handmade", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "activations" / "gate.py").unlink()
    soft = folder / "activations" / "soft.py"
    soft.write_text(soft.read_text(encoding="utf-8").replace("def grad_f64_none(", "def other("), encoding="utf-8")
    code = (
        "import gone\nprint(gone.__all__)\n"
        "for call in (lambda: gone.gate(1.0), lambda: gone.soft.grad(1.0)):\n"
        "    try: call()\n    except ImportError as e: print(type(e).__name__, e)\n"
    )
    lines = python(code, tmp_path).stdout.splitlines()
    assert "gate" in lines[0]
    assert lines[1].startswith("GeneratedPackageError gate: the generated module gone.activations.gate is missing")
    assert lines[1].endswith("run `symgen build`")
    assert "gone.activations.soft has no grad_f64_none; run `symgen build --force`" in lines[2]


def test_a_package_that_does_not_exist() -> None:
    """A face without a package lists nothing of it, and says what to run when asked for a function."""
    getter, lister = load_package("no_such_package_of_kernels", public=__name__)
    assert "test_names" in lister()
    with pytest.raises(GeneratedPackageError, match="run `symgen build`"):
        getter("gelu")


@pytest.mark.parametrize(("package", "words"), [
    ("no_such_package_of_kernels", "No module named 'no_such_package_of_kernels'; run `symgen build`"),
    ("symgen.no_such_package", "No module named 'symgen.no_such_package'; run `symgen build`"),
    ("json", "json has no manifest.json in .*; run `symgen build`"),
    ("json.decoder", "json.decoder is a module and not a package"),
    ("", "'' is not the dotted name of a package"),
    (".relative", "'.relative' is not the dotted name of a package"),
    (3, "3 is not the dotted name of a package"),
])
def test_a_package_is_looked_for_at_once(package: Any, words: str) -> None:
    """Without a file or a face the package must be there when it is loaded."""
    with pytest.raises(GeneratedPackageError, match=words):
        load_package(package)


def test_a_package_under_a_name_that_is_not_imported(kernels: ModuleType) -> None:
    """Functions are found even if the module that is to offer them was never imported."""
    getter, lister = load_package("handmade", public="no_such_face")
    assert getter("gate").function.name == "gate"
    assert "gate" in lister()
    assert load_package("handmade")[0]("gate").function.name == "gate"


def test_numba_is_asked_for(package_folder: Path) -> None:
    """Without Numba everything but calling works, and calling says what to install."""
    code = (
        "import sys; sys.modules['numba'] = None\nimport handmade\n"
        "try: handmade.gate(1.0)\nexcept ImportError as e: print(e)\n"
    )
    said = python(code, package_folder).stdout.strip()
    assert said == "gate() needs Numba to run; install it with `pip install numba`"


def test_without_compilation(package_folder: Path) -> None:
    """NUMBA_DISABLE_JIT=1 runs the loops as plain Python, for debugging."""
    code = (
        "import handmade, numpy as np\nprint(handmade.gate([3.0]), handmade.slope.vjp(1.0, [-2.0], np.ones(1)))\n")
    done = python(code, package_folder, NUMBA_DISABLE_JIT="1")
    assert done.stdout.strip() == "[9.] (array([1.]), array([-2.]))", done.stderr


def test_threads(package_folder: Path) -> None:
    """First calls from several threads at once compile and agree."""
    code = (
        "import handmade, numpy as np\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "x = np.arange(1000.0)\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    found = list(pool.map(lambda k: (handmade.gate(x), handmade.gate.vjp(x, x)), range(32)))\n"
        "print(all((a == x * x).all() and (b == 2 * x * x).all() for a, b in found))\n"
    )
    done = python(code, package_folder)
    assert done.stdout.strip() == "True", done.stderr


def test_stub_is_what_the_package_offers(kernels: ModuleType, package_folder: Path) -> None:
    """The stub parses, has every parameter of every method in order, and is the same whatever the manifest's order."""
    entries = json.loads((package_folder / "handmade" / "manifest.json").read_text(encoding="utf-8"))["functions"]
    text = functional_stub(entries, "symgen.runtime")
    assert text == functional_stub(dict(reversed(entries.items())), "symgen.runtime")
    classes = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    assert "clamp = clip" in text
    for name in entries:
        offered = {"__call__": getattr(kernels, name)}
        offered |= {method: getattr(kernels, name).__getattr__(method) for method in ("grad", "vjp", "value_and_grad")}
        methods = {node.name: node for node in classes[f"_{name}"].body if isinstance(node, ast.FunctionDef)}
        assert set(methods) == set(offered)
        for method, node in methods.items():
            written = [a.arg for a in (*node.args.args, *node.args.kwonlyargs)]
            assert written == ["self", *inspect.signature(offered[method]).parameters]


def test_stub_type_checks(package_folder: Path) -> None:
    """A strict type checker accepts the stub, right calls, and finds wrong ones."""
    (package_folder / "use.py").write_text(
        "import numpy as np\nimport handmade as K\n\n"
        "y = K.gate(np.ones(3), form='cube', scale=2.0)\n"
        "dy = K.gate.grad([1.0, 2.0], order=2)\n"
        "K.gate(np.ones(3), form='cub')\n"
        "K.soft(1.0, threshold='x')\n"
        "K.nothing(1.0)\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(package_folder / ".mypy"),
         "use.py"],
        cwd=package_folder, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "MYPYPATH": str(ROOT)},
    )
    errors = [line for line in done.stdout.splitlines() if "error" in line]
    assert [line.split(":")[1] for line in errors] == ["6", "7", "8"], done.stdout


def test_package_init_texts(package_folder: Path) -> None:
    """The face says where it comes from; a package that another module shows has nothing but a docstring."""
    made = (package_folder / "handmade" / "__init__.py").read_text(encoding="utf-8")
    assert made == package_init("symgen.runtime")
    assert made.startswith("# Generated by symgen; do not edit.\n")
    assert len(ast.parse(package_init("")).body) == 1
    assert "from ._runtime import load_package" in package_init("._runtime")
