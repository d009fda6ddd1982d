"""The public face of the catalogue: every function of the registry is called, differentiated, pickled and read of."""

from __future__ import annotations

import ast
import inspect
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import symgen.functional as F
from symgen.runtime import Kernel

ROOT = Path(__file__).parents[1]
DTYPES = [np.dtype(t) for t in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.int8, np.int64, np.bool_)]


def _functions() -> list[str]:
    data = json.loads((ROOT / "generated" / "manifest.json").read_text(encoding="utf-8"))
    return sorted(data["functions"])


def _example(kernel: Kernel) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of the example in a function's help."""
    line = next(line for line in str(kernel.__doc__).splitlines() if ">>> y = " in line)
    parsed: Any = ast.parse(line.split(">>> y = ")[1], mode="eval").body
    scope = {"np": np}
    values = [eval(ast.unparse(a), scope) for a in parsed.args]
    whole = {"reduction": "none"} if kernel.function.is_loss else {}
    return values, {k.arg: eval(ast.unparse(k.value), scope) for k in parsed.keywords} | whole


def test_registry_is_the_manifest() -> None:
    """The functions of the manifest, which are those of specs/, and their aliases are all there is."""
    assert _functions()
    specs = {path.stem for path in (ROOT / "specs").glob("*/*.py") if path.parent.name in ("activations", "losses")}
    aliases = {alias for name in _functions() for alias in getattr(F, name).function.aliases}
    assert set(F.__all__) == {*_functions(), *aliases}
    manifest = json.loads((ROOT / "generated" / "manifest.json").read_text(encoding="utf-8"))["functions"]
    assert specs == {manifest[name]["family"] for name in _functions()}
    assert set(F.__all__) <= set(dir(F))


def test_importing_compiles_nothing() -> None:
    """Importing the catalogue and reading all its help loads neither SymPy nor Numba; calling loads no SymPy."""
    code = (
        "import sys, symgen.functional as F\n"
        "for name in F.__all__: getattr(F, name).__doc__, getattr(F, name).vjp.__doc__\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'numba', 'sympy', 'flint', 'jinja2', 'llvmlite'}))\n"
        "print([m for m in sys.modules if m.startswith('symgen.') and not m.startswith(('symgen.runtime',\n"
        "       'symgen.functional', 'symgen.generated'))])\n"
        "F.relu(1.0); print('sympy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout.splitlines() == ["[]", "[]", "False"], done.stderr


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_function_takes_every_dtype(dtype: np.dtype[Any]) -> None:
    """Values and derivatives come back in the dtype that NumPy's functions would give, whatever the strides."""
    wanted = dtype if dtype == DTYPES[3] else np.exp(np.ones(1, dtype)).dtype
    for name in _functions():
        kernel = getattr(F, name)
        if kernel.function.is_rows or kernel.function.is_layer:  # tests/rows, tests/test_layers
            continue
        arrays, options = _example(kernel)
        with np.errstate(all="ignore"):
            arrays = [np.ceil(np.abs(a)).astype(dtype) if dtype.kind in "biu" else a.astype(dtype) for a in arrays]
            if kernel.function.logits and dtype.kind in "biu":
                with pytest.raises(TypeError, match=rf"has dtype {dtype}; expected floats"):
                    kernel(*arrays, **options)
                continue
            operands = {a.name for a in kernel.function.operands}
            options = {k: np.asarray(v).astype(dtype) if k in operands else v for k, v in options.items()}
        value = kernel(*arrays, **options)
        strided = kernel(*[np.repeat(a, 2)[::2] for a in arrays], **options)
        assert value.dtype == strided.dtype == wanted, name
        np.testing.assert_array_equal(value.astype(float), strided.astype(float), err_msg=name)
        y, dy = kernel.value_and_grad(*arrays, **options)
        np.testing.assert_array_equal(y.astype(float), value.astype(float), err_msg=name)
        for slope, bend in zip(*(_all(kernel.grad(*arrays, order=order, **options)) for order in (1, 2)), strict=True):
            assert slope.shape == bend.shape == value.shape
            assert slope.dtype == bend.dtype == wanted, name
        for slope, both in zip(_all(kernel.grad(*arrays, **options)), _all(dy), strict=True):
            np.testing.assert_array_equal(slope.astype(float), both.astype(float), err_msg=name)


def _all(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


def test_every_output_is_there() -> None:
    """Every output that the manifest promises of a variant is in its module, with its scalar and its sum."""
    for name in _functions():
        kernel = getattr(F, name)
        module = kernel._caller.loops.module()
        function = kernel.function
        if function.is_rows:  # kernels of whole rows serve every dtype, and have no function of one number
            ends = {f"_{v.suffix}" if v.suffix else "": v for v in function.variants}
            names = [f"{o}_{t}{end}" for end, v in ends.items() for o in v.outputs for t in ("f32", "f64")]
            assert all(hasattr(module, n) for n in names), name
            continue
        for variant in function.variants:
            end = f"_{variant.suffix}" if variant.suffix else ""
            for output in (*variant.outputs, "vjp", "value_and_grad"):
                for tag in ("f64", "f32"):
                    assert hasattr(module, f"{output}_{tag}{end}"), (name, output)
            for argument in function.arguments:
                summed = argument.role not in ("tensor", "weight", "prob")
                if summed and f"grad_{argument.name}" in variant.outputs:
                    assert hasattr(module, f"vjp_{argument.name}_f64{end}"), (name, argument.name)
            assert hasattr(module, f"value_scalar{end}"), name


def test_every_gradient_of_an_option() -> None:
    """The gradient in each parameter and option is the sum of what ``grad`` gives elementwise, times the cotangent."""
    for name in _functions():
        kernel = getattr(F, name)
        if kernel.function.is_layer:  # tests/test_layers
            continue
        arrays, options = _example(kernel)
        arrays = [np.resize(a, (3, 4)) for a in arrays]
        g = np.linspace(1, 2, 12).reshape(3, 4)
        for argument in kernel.function.arguments:
            output = f"grad_{argument.name}"
            summed = argument.role not in ("tensor", "weight", "prob")
            if summed and all(output in v.outputs for v in kernel.function.variants):
                found = kernel.vjp(g, *arrays, wrt=argument.name, **options)
                elementwise = kernel.grad(*arrays, wrt=argument.name, **options)
                where = f"{name} {argument.name}"
                np.testing.assert_allclose(found, (g * elementwise).sum(), rtol=1e-13, atol=1e-13, err_msg=where)


def test_every_function_pickles_and_prints() -> None:
    """Kernels are pickled by name from symgen.functional, and their signature begins with the spec's arguments."""
    for name in F.__all__:
        kernel = getattr(F, name)
        assert pickle.loads(pickle.dumps(kernel)) is kernel
        assert kernel.__module__ == "symgen.functional"
        shown = list(inspect.signature(kernel).parameters)
        assert shown[0] == kernel.function.arguments[0].name
        own = "reduction" if kernel.function.is_loss else "axis" if kernel.function.is_rows else "where"
        extras = {"out"} if kernel.function.is_layer else {"out", own}
        assert set(shown) >= {a.name for a in kernel.function.arguments} | extras
        for words in (kernel.function.summary, kernel.function.source, "Example:"):
            assert words in kernel.__doc__


def test_unknown_names_are_corrected() -> None:
    """A misspelt function is an AttributeError that says the nearest name; importing it is an ImportError."""
    with pytest.raises(AttributeError, match="did you mean 'sigmoid'"):
        _ = F.sigmiod
    with pytest.raises(ImportError, match="cannot import name 'sigmiod'"):
        exec("from symgen.functional import sigmiod", {})


def test_the_stub_is_current() -> None:
    """The committed stub of this module is what the manifest says."""
    from symgen.backends.stubs import functional_stub

    data = json.loads((ROOT / "generated" / "manifest.json").read_text(encoding="utf-8"))
    stub = ROOT / "symgen" / "functional.pyi"
    assert stub.read_text(encoding="utf-8") == functional_stub(data["functions"], "symgen.runtime")


def test_checkout_finds_generated() -> None:
    """In a checkout ``symgen.generated`` is the repository's folder; nothing else is imported through the root."""
    import symgen.generated

    assert Path(str(symgen.generated.__file__)).parent == ROOT / "generated"
    assert symgen.__version__.count(".") == 2
    for path in sorted((ROOT / "symgen").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert "symgen.tests" not in text.replace('"symgen.tests"', "")
        assert "import symgen.symgen" not in text
