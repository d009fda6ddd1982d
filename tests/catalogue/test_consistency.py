"""Nothing of a function is forgotten: every spec has its kernel, stub, card and certificate, and each has its spec."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any

from symgen.backends import numba_elementary
from symgen.certificate import Certificate

METHODS = {"__call__", "grad", "vjp", "value_and_grad"}


def stub(root: Path) -> ast.Module:
    """The stub of the public module."""
    return ast.parse((root / "symgen" / "functional.pyi").read_text(encoding="utf-8"))


def manifest(root: Path) -> dict[str, Any]:
    """What the build says of each function."""
    content = json.loads((root / "generated" / "manifest.json").read_text(encoding="utf-8"))
    functions: dict[str, Any] = content["functions"]
    return functions


def test_specs_and_kernels_are_the_same_functions(catalogue: Any) -> None:
    """Every definition that is to have a kernel has one, and every kernel and generated file has a definition."""
    defined = {name for name, op in catalogue.ops().items() if op.kind != "function"}
    assert set(catalogue.every) == defined
    generated = catalogue.root / "generated"
    written = {p.relative_to(generated).as_posix() for p in generated.rglob("*.py") if p.name != "__init__.py"}
    of_functions = {file for entry in manifest(catalogue.root).values() for file in entry["files"]}
    assert written == of_functions | {numba_elementary.FILE, f"cuda/{numba_elementary.FILE}"}


def test_kernel_is_of_its_spec(catalogue: Any, name: str) -> None:
    """The kernel has the spec's arguments in its order, its variants, its words, and says where it is from."""
    op, function = catalogue.ops()[name], catalogue.kernel(name).function
    assert [a.name for a in function.arguments] == [a.name for a in op.arguments]
    assert [v.suffix for v in function.variants] == [v.suffix for v in op.variants]
    assert (function.summary, function.torch, function.cite) == (op.summary, op.torch, op.cite)
    assert (catalogue.root / op.source.file).is_file()
    assert op.source.file in inspect.getsource(catalogue.module(name)).splitlines()[0]


def test_stub_has_every_method(catalogue: Any, name: str) -> None:
    """The stub has a class with every method, whose parameters are those of the function, and its aliases."""
    tree = stub(catalogue.root)
    (shown,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == f"_{name}"]
    methods = {n.name: n for n in shown.body if isinstance(n, ast.FunctionDef)}
    assert set(methods) >= METHODS
    expected = list(inspect.signature(catalogue.kernel(name)).parameters)
    written = [a.arg for a in (*methods["__call__"].args.args, *methods["__call__"].args.kwonlyargs)]
    assert written == ["self", *expected]
    listed = next(n for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__")
    assert {name, *catalogue.ops()[name].aliases} <= set(ast.literal_eval(listed.value))


def test_card_and_sheet(catalogue: Any, name: str) -> None:
    """The reference has a card that names the function and what PyTorch calls it, and the sheet includes it."""
    reference = catalogue.root / "docs" / "reference"
    card = (reference / "cards" / f"{name}.tex").read_text(encoding="utf-8")
    plain = card.replace("\\allowbreak{}", "").replace("\\_", "_")
    for word in (name, catalogue.ops()[name].torch or name):
        assert word in plain
    assert f"cards/{name}" in (reference / "sheet.tex").read_text(encoding="utf-8")


def test_no_card_without_a_spec(catalogue: Any) -> None:
    """Cards and certificates of functions that are gone are gone."""
    cards = {p.stem for p in (catalogue.root / "docs" / "reference" / "cards").glob("*.tex")}
    assert cards == set(catalogue.every)
    certificates = {p.stem for p in (catalogue.root / "generated" / "certificates").glob("*.json")}
    assert certificates <= set(catalogue.every)


def test_certificate(catalogue: Any, name: str) -> None:
    """There is a certificate of the kernel as it is now, of every output in every dtype, variant and setting."""
    path = catalogue.root / "generated" / "certificates" / f"{name}.json"
    assert path.is_file(), f"run `symgen certify {name}`"
    certificate = Certificate.from_json(path.read_text(encoding="utf-8"))
    entry = manifest(catalogue.root)[name]
    assert certificate.kernel == entry["kernel"], f"measured of another kernel: run `symgen certify {name}`"
    rows = {(row.settings, row.output, row.dtype) for row in certificate.rows}
    for case in catalogue.cases(name):
        (variant,) = [v for v in entry["variants"] if v["suffix"] == case.variant.suffix]
        measured = {o for o, _ in case.outputs} | {f"grad_{n}" for n, _ in case.numeric}
        assert measured <= set(variant["outputs"])
        assert rows >= {(case.settings, o, str(d)) for o in measured for d in catalogue.dtypes}


def test_every_variant_has_outputs(catalogue: Any, name: str) -> None:
    """Each variant has a value and, in each tensor, two derivatives; each parameter and number in it has a gradient."""
    function = catalogue.kernel(name).function
    tensors = [a for a in function.operands if a.role == "tensor"]
    wanted = {"value", *(function.output(a, order) for a in tensors for order in (1, 2))}
    for variant in function.variants:
        assert wanted <= variant.outputs
    for case in catalogue.base(name):
        (variant,) = [v for v in function.variants if v.suffix == case.variant.suffix]
        assert {f"grad_{n}" for n, _ in case.numeric} <= variant.outputs
