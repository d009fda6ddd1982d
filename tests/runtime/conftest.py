"""A generated package made by hand: the runtime is tested against the contract and not against the generator."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from symgen.backends.stubs import functional_stub, package_init

REQUIRED = {"required": True}
CHANNEL = {"name": "Ch", "at": 1, "optional": True}
OPERANDS = ("tensor", "param")
PLUS = "log1p(exp(beta * x)) / beta"

HEAD = '''\
"""{name}, by hand."""

from math import exp, log, log1p

import numpy as np
from numba import njit

core = njit(nogil=True, error_model="numpy", forceinline=True)
loop = njit(nogil=True, error_model="numpy", fastmath={{"contract"}}, cache=True)
'''


def argument(name: str, role: str = "tensor", default: Any = REQUIRED, **more: Any) -> dict[str, Any]:
    """One argument as the manifest writes it."""
    plain = {"axes": [], "keyword_only": False, "optional": False, "choices": [], "limits": []}
    return {"name": name, "role": role, "default": default, **plain, **more}


def function(summary: str, arguments: list[Any], variants: list[Any], **more: Any) -> dict[str, Any]:
    """One function: its variants are (suffix, settings, conditions, {output: formula})."""
    known = {"kind": "activation", "torch": None, "cite": None, "aliases": [], "assertions": [], "definition": "f(x)"}
    return known | {"summary": summary, "arguments": arguments, "variants": variants} | more


FUNCTIONS: dict[str, dict[str, Any]] = {
    "soft": function(
        "Smooth positive part, of sharpness beta.",
        [
            argument("x"),
            argument("beta", "real", 1, limits=[["!=", 0]]),
            argument("threshold", "real", None, optional=True),
        ],
        [
            ("given", {"threshold": "given"}, [], {
                "value": f"x if beta * x > threshold else {PLUS}",
                "grad": "1.0 if beta * x > threshold else 1 / (1 + exp(-beta * x))",
                "grad2": "0.0 if beta * x > threshold else beta / (2 + exp(beta * x) + exp(-beta * x))",
                "grad_beta": f"0.0 if beta * x > threshold else (x / (1 + exp(-beta * x)) - {PLUS}) / beta",
            }),
            ("none", {"threshold": None}, [], {
                "value": PLUS,
                "grad": "1 / (1 + exp(-beta * x))",
                "grad2": "beta / (2 + exp(beta * x) + exp(-beta * x))",
                "grad_beta": f"(x / (1 + exp(-beta * x)) - {PLUS}) / beta",
            }),
        ],
        torch="softplus",
        definition="log(1 + exp(beta * x)) / beta",
    ),
    "gate": function(
        "A power of the input, or nothing.",
        [
            argument("x"),
            argument("form", "choice", "square", keyword_only=True, choices=["square", "cube"]),
            argument("scale", "real", 1, keyword_only=True, limits=[[">=", 0]]),
        ],
        [
            ("square", {"form": "square"}, [],
             {"value": "x * x", "grad": "2 * x", "grad2": "2.0", "grad_scale": "0.0"}),
            ("cube_zero", {"form": "cube"}, [[["eq", "scale", 0], True]],
             {"value": "0.0", "grad": "0.0", "grad2": "0.0", "grad_scale": "0.0"}),
            ("cube", {"form": "cube"}, [[["eq", "scale", 0], False]],
             {"value": "scale * x**3", "grad": "3 * scale * x**2", "grad2": "6 * scale * x", "grad_scale": "x**3"}),
        ],
    ),
    "slope": function(
        "Leaky relu whose slope is learned, one for all or one per channel.",
        [argument("x", axes=[CHANNEL]), argument("weight", "param", axes=[CHANNEL])],
        [("", {}, [], {
            "value": "x if x > 0 else weight * x",
            "grad": "1.0 if x > 0 else weight",
            "grad2": "0.0 * x",
            "grad_weight": "0.0 if x > 0 else x",
        })],
        torch="prelu",
        cite="arXiv:1502.01852",
    ),
    "clip": function(
        "The input, kept between two bounds.",
        [argument("x"), argument("low", "real", -1), argument("high", "real", 1)],
        [("", {}, [], {
            "value": "low if x < low else high if x > high else x",
            "grad": "1.0 if low < x < high else 0.0",
            "grad2": "0.0 * x",
            "grad_low": "1.0 if x <= low else 0.0",
            "grad_high": "1.0 if x >= high else 0.0",
        })],
        assertions=[["le", "low", "high"]],
        aliases=["clamp"],
    ),
    "mix": function(
        "A product and a sum of two inputs.",
        [argument("input"), argument("target"), argument("scale", "real", 1, keyword_only=True)],
        [("", {}, [], {
            "value": "scale * input * target + input",
            "grad_input": "scale * target + 1",
            "grad_target": "scale * input",
            "grad2_input": "0.0",
            "grad2_target": "0.0",
            "grad_scale": "input * target",
        })],
        kind="activation",
    ),
    "cut": function(
        "The logarithm above a level that must be given.",
        [
            argument("x", limits=[[">", 0]]),
            argument("level", "real"),
            argument("times", "int", 1, limits=[[">=", 1]]),
            argument("offset", "tensor", 0),
        ],
        [("", {}, [], {
            "value": "times * (log(x) - level) - offset",
            "grad_x": "times / x",
            "grad_offset": "-1.0",
            "grad2_x": "-times / (x * x)",
            "grad2_offset": "0.0",
            "grad_level": "-times",
        })],
    ),
}


def _loop(name: str, inputs: list[str], results: list[tuple[str, str]], dtype: str) -> str:
    outs = [out for out, _ in results]
    lines = [f"r{i} = {formula}" for i, (_, formula) in enumerate(results)]
    lines += [f"{out}[i] = {dtype}(r{i})" for i, out in enumerate(outs)]
    body = "\n        ".join(lines)
    return f"\n@loop\ndef {name}({', '.join(inputs + outs)}):\n    for i in range({outs[0]}.size):\n        {body}\n"


def _sum(name: str, inputs: list[str], formula: str) -> str:
    return (
        f"\n@loop\ndef {name}({', '.join(inputs)}, out):\n"
        "    for c in range(out.size):\n"
        "        total = 0.0\n"
        "        for i in range(g.shape[0]):\n"
        "            for k in range(g.shape[2]):\n"
        f"                total += np.float64(g[i, c, k]) * {formula}\n"
        "        out[c] = total\n"
    )


def _module(name: str, made: dict[str, Any]) -> str:
    """The text of one module, with every name that the contract promises."""
    operands = [a["name"] for a in made["arguments"] if a["role"] in OPERANDS]
    tensors = [a["name"] for a in made["arguments"] if a["role"] == "tensor"]
    options = [a["name"] for a in made["arguments"] if a["role"] in ("real", "int")]
    gradients = ["grad" if len(tensors) == 1 else f"grad_{t}" for t in tensors]
    names = [*operands, *options]
    text = HEAD.format(name=name)
    for suffix, _, _, outputs in made["variants"]:
        s = f"_{suffix}" if suffix else ""
        for output, formula in outputs.items():
            text += f"\n@core\ndef {output}_scalar{s}({', '.join(names)}):\n    return {formula}\n"
        for tag, dtype in (("f64", "np.float64"), ("f32", "np.float32")):
            read = ", ".join([f"np.float64({o}[i])" for o in operands] + options)
            each = {output: f"{output}_scalar{s}({read})" for output in outputs}
            derived = [(t, each[gradient]) for t, gradient in zip(tensors, gradients, strict=True)]
            for output, call in each.items():
                text += _loop(f"{output}_{tag}{s}", names, [("out", call)], dtype)
            products = [(f"g{t}", f"np.float64(g[i]) * {call}") for t, call in derived]
            text += _loop(f"vjp_{tag}{s}", ["g", *names], products, dtype)
            both = [("out", each["value"]), *((f"d{t}", call) for t, call in derived)]
            text += _loop(f"value_and_grad_{tag}{s}", names, both, dtype)
            places = [f"np.float64({o}[i, c, k])" if o in tensors else f"np.float64({o}[min(c, {o}.size - 1)])"
                      for o in operands]
            for wrt in [o.removeprefix("grad_") for o in outputs if o.removeprefix("grad_") in names]:
                if wrt not in tensors:
                    call = f"grad_{wrt}_scalar{s}({', '.join(places + options)})"
                    text += _sum(f"vjp_{wrt}_{tag}{s}", ["g", *names], call)
    return text


def _entry(name: str, made: dict[str, Any]) -> dict[str, Any]:
    folder = {"activation": "activations", "loss": "losses"}[made["kind"]]
    return made | {
        "module": f"{folder}.{name}",
        "archetype": "elementwise",
        "doc": made["summary"],
        "variants": [
            {"suffix": suffix, "settings": settings, "conditions": conditions, "outputs": list(outputs), "limits": {}}
            for suffix, settings, conditions, outputs in made["variants"]
        ],
        "source": {"file": f"specs/{folder}/{name}.py", "line": 3},
        "key": "0" * 64,
        "files": {},
    }


def write_package(folder: Path) -> None:
    """Write the whole package: modules, manifest, face and stub."""
    entries = {name: _entry(name, made) for name, made in FUNCTIONS.items()}
    for name, made in FUNCTIONS.items():
        path = folder / f"{entries[name]['module'].replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").write_text("# Generated by symgen; do not edit.\n", encoding="utf-8")
        path.write_text(_module(name, made), encoding="utf-8")
    manifest = json.dumps({"format": 1, "functions": entries}, sort_keys=True, indent=1)
    (folder / "manifest.json").write_text(manifest, encoding="utf-8")
    (folder / "__init__.py").write_text(package_init("symgen.runtime"), encoding="utf-8")
    (folder / "__init__.pyi").write_text(functional_stub(entries, "symgen.runtime"), encoding="utf-8")


@pytest.fixture(scope="session")
def package_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the package ``handmade``."""
    folder = tmp_path_factory.mktemp("handmade")
    write_package(folder / "handmade")
    return folder


@pytest.fixture(scope="session")
def kernels(package_folder: Path) -> Iterator[ModuleType]:
    """The package ``handmade``, imported."""
    sys.path.insert(0, str(package_folder))
    yield importlib.import_module("handmade")
    sys.path.remove(str(package_folder))
