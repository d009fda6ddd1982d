"""Every mistake in a spec is an error that names file, line and text, says what is wrong, and hints at what to do."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from symgen.spec import SpecError, load

IMPORTS = (
    "from symgen.spec import Axis, Tensor, Param, Weight, Prob, Index, Labels, Mask, Shape, Real, Int, Literal, "
    "activation, loss, function, exp, log, sqrt, mean, size, norm\n"
    'C = Axis("C"); D = Axis("D"); K = Axis("K", at=1)\n'
)


def spec(body: str, decorator: str = "@activation()", signature: str = "x", name: str = "f") -> str:
    """A spec file whose function has its docstring on line 5 and its body from line 6 on."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f'{IMPORTS}{decorator}\ndef {name}({signature}):\n    """Something."""\n{lines}'


def error_of(folder: Path, text: str, name: str = "wrong") -> SpecError:
    """The error that loading this text gives."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load(path)
    return caught.value


# name: (text, line, quoted text, what, hint)
MISTAKES: dict[str, tuple[str, int, str, str, str]] = {
    "unknown name": (spec("return sqr(x)"), 6, "return sqr(x)", "unknown name 'sqr'", "did you mean 'sqrt'?"),
    "name not imported": (
        spec("return tanh(x)"), 6, "return tanh(x)", "unknown name 'tanh'", "from symgen.spec import",
    ),
    "name from elsewhere": (spec("return clip(x, 0, 1)"), 6, "return clip(x, 0, 1)", "unknown name 'clip'", "min(high"),
    "unknown annotation": (
        spec("return a * x", signature="x, a: Reel = 1"), 4, "def f", "'Reel'", "did you mean 'Real'?",
    ),
    "Python's float": (spec("return a * x", signature="x, a: float = 1"), 4, "def f", "'float'", "write Real"),
    "no return": (spec("y = x"), 4, "def f(x):", "nothing is returned", "end with 'return'"),
    "a case without a return": (spec("if x > 0:\n    return x"), 6, "if x > 0:", "where this is false", "'return'"),
    "an option's case without a return": (
        spec("if a > 0:\n    return a * x", signature="x, a: Real = 1"), 4, "def f", "in some case", "'return'",
    ),
    "no docstring": (IMPORTS + "@activation()\ndef f(x):\n    return x\n", 4, "def f(x):", "no docstring", "sentence"),
    "for": (spec("for k in C:\n    y = k\nreturn x"), 6, "for k in C:", "no 'for' statement", "sum(... for k in C)"),
    "while": (spec("while x:\n    y = 1\nreturn x"), 6, "while x:", "no 'while' statement", "sum(... for k in C)"),
    "import in the body": (spec("import math\nreturn x"), 6, "import math", "no 'import' statement", "top of the file"),
    "import of a module": ("import math\n" + spec("return x"), 1, "import math", "the module 'math'", "import names"),
    "nested function": (spec("def g(y):\n    return y\nreturn x"), 6, "def g(y):", "no nested function", "@function"),
    "lambda": (spec("g = lambda y: y\nreturn x"), 6, "g = lambda", "a formula has no lambda", "@function"),
    "catalogue name misspelt": (
        spec("return sigmod(x)"), 6, "return sigmod(x)", "unknown name 'sigmod'",
        "from symgen.catalogue import sigmoid",
    ),
    "catalogue name not imported": (
        spec("return x * softplus(x)"), 6, "return x", "unknown name 'softplus'", "symgen.catalogue import softplus",
    ),
    "catalogue name from the language": (
        "from symgen.spec import sigmod\n" + spec("return x"), 1, "from symgen.spec", "'sigmod' is not in symgen.spec",
        "from symgen.catalogue import sigmoid",
    ),
    "from sympy import gamma": (
        "from sympy import gamma\n" + spec("return x"), 1, "from sympy", "'sympy'", "did you mean 'lgamma'?",
    ),
    "where without a Mask": (
        spec("return x * where", signature="x, where: Real = 1"), 4, "def f", "called 'where'", "only a Mask",
    ),
    **{
        f"argument {name}": (
            spec(f"return x * {name}", signature=f"x, {name}: Real = 1"), 4, "def f", f"called '{name}'",
            f"rename it, for instance '{name}_'",
        )
        for name in ("self", "g", "out", "wrt", "order", "check")
    },
    "augmented assignment": (spec("x += 1\nreturn x"), 6, "x += 1", "'augassign'", "y = y + ..."),
    "math.exp": (
        "import math\n" + spec("return math.exp(x)"), 7, "return math.exp(x)", "'math.exp' works on numbers",
        "from symgen.spec import exp",
    ),
    "from math import exp": (
        "from math import exp\n" + spec("return x"), 1, "from math", "'math'", "symgen.spec import exp",
    ),
    "index outside its sum": (
        spec("return sum(x[k] for k in C) * x[k]", signature="x: Tensor[C]"), 6, "return sum(", "index 'k' is bound",
        "x[C]",
    ),
    "axis left out": (
        spec("return sum(x)", signature="x: Tensor[C]"), 6, "return sum(x)", "over which axis?", "sum(expr",
    ),
    "reduction over a missing axis": (
        spec("return sum(x, D)", signature="x: Tensor[C]"), 6, "return sum(x, D)", "does not vary along D", "along C",
    ),
    "reduction of a constant": (
        spec("return x * sum(1 for k in C)", signature="x: Tensor[C]"),
        6, "return x", "does not vary along C", "size(C)",
    ),
    "subscript by a number": (
        spec("return x[0.5]", signature="x: Tensor[C]"), 6, "return x[0.5]", "'1/2' is not an index", "Index[axis]",
    ),
    "subscript that picks nothing": (
        spec("return x[C]*x[y]", signature="x, y: Index[C]"), 6, "return", "picks nothing", "",
    ),
    "a loss that varies": (
        spec("return -x", "@loss()", "x: Tensor[K]"), 4, "def f", "still varies along K", "sum or average",
    ),
    "data in a plain if": (
        spec("y = x\nif x > 0:\n    y = 2 * x\nreturn y"),
        7, "if x > 0:", "data in a plain 'if'", "a if condition else b",
    ),
    "unused argument": (spec("return x", signature="x, a: Real = 1"), 4, "def f", "'a' is never used", "remove it"),
    "argument without effect": (
        spec("return x + 0 * a", signature="x, a: Real = 1"), 4, "def f", "'a' has no effect", "remove it",
    ),
    "defined twice in a file": (
        spec("return x") + "\n\n" + spec("return 2 * x").removeprefix(IMPORTS), 10, "def f(x):", "'f' is defined twice",
        "another name",
    ),
    "too many variants": (
        spec("return x * a * b", signature="x, a: Literal[1, 2, 3, 4, 5], b: Literal[1, 2, 3, 4]"), 4, "def f",
        "more than 16 variants: a (1, 2, 3, 4, 5); b (1, 2, 3, 4)", "split the function",
    ),
    "not Python": ("def f(x:\n", 1, "def f(x:", "not Python", ""),
    "no decorator": (
        IMPORTS + 'def f(x):\n    """D."""\n    return x\n', 3, "def f(x):", "needs one decorator", "@act",
    ),
    "unknown decorator": (spec("return x", "@activaton()"), 4, "def f", "'@activaton'", "did you mean '@activation'?"),
    "decorator without brackets": (
        spec("return x", "@activation"), 3, "@activation", "needs brackets", "@activation()",
    ),
    "unknown keyword": (
        spec("return x", '@activation(torhc="a")'), 3, "@act", "no keyword 'torhc'", "did you mean 'torch'",
    ),
    "keyword of the wrong type": (spec("return x", "@activation(torch=1)"), 3, "@act", "'torch' is 1", "str"),
    "unknown reduction": (spec("return x", '@loss(reduction="men")'), 3, "@loss", "reduction is 'men'", "mean"),
    "symbols for no argument": (
        spec("return x", '@activation(symbols={"y": "z"})'), 3, "@act", "names 'y', which is no argument", "",
    ),
    "starred argument": (spec("return x", signature="*x"), 4, "def f(*x):", "any number of arguments", "name each"),
    "annotation that is no role": (
        spec("return x * a", signature="x, a: 3 = 1"), 4, "def f", "'3' is not a role", "Real",
    ),
    "brackets missing beside a limit": (
        spec("return x * a", signature="x, a: 0 <= Real <= 1 | None = 1"), 4, "def f", "'|' joins roles", "brackets",
    ),
    "default outside the domain": (
        spec("return x * a", signature="x, a: Real > 0 = -1"), 4, "def f", "the default of 'a' is -1", "> 0",
    ),
    "default that is no choice": (
        spec('return x if a == "b" else 2 * x', signature='x, a: Literal["mean", "b"] = "meen"'), 4, "def f",
        "the default of 'a' is 'meen'", "did you mean 'mean'?",
    ),
    "default None": (spec("return x * a", signature="x, a: Real = None"), 4, "def f", "is None", "Real | None"),
    "half an Int": (spec("return x * a", signature="x, a: Int = 0.5"), 4, "def f", "not an integer", "Real"),
    "None in a formula": (
        spec("return x * a", signature="x, a: Real | None = None"), 6, "return x * a", "a product of None", "is None",
    ),
    "comparison with None": (
        spec("return x if a == None else a * x", signature="x, a: Real | None = None"),
        6, "return", "with None", "is None",
    ),
    "condition as a number": (spec("return (x > 0) * x"), 6, "return", "a product of a condition", "if condition else"),
    "number as a condition": (spec("return 1 if x else 0"), 6, "return 1 if x", "'x' is not a condition", "compare"),
    "division by zero": (spec("return x / (1 - 1)"), 6, "return x / (1 - 1)", "divides by zero", ""),
    "complex number": (spec("return x * sqrt(-1)"), 6, "return x * sqrt(-1)", "complex number", "real"),
    "imaginary literal": (spec("return x * 1j"), 6, "return x * 1j", "1j is a complex number", "real"),
    "wrong number of arguments": (
        spec("return exp(x, 2)"), 6, "return exp(x, 2)", "exp: too many positional", "exp(x)",
    ),
    "call of a number": (spec("return 2(x)"), 6, "return 2(x)", "'2' is not a function", "2 * (...)"),
    "unpacking a scalar": (spec("a, b = x\nreturn a"), 6, "a, b = x", "2 names for 1 value", "Tensor[2 * C]"),
    "assert on data": (spec("assert x > 0\nreturn x"), 6, "assert x > 0", "here is data", "x: Tensor > 0"),
    "assert that fails": (spec("assert 1 > 2\nreturn x"), 6, "assert 1 > 2", "never holds", ""),
    "two values from an activation": (spec("return x, x"), 4, "def f(x):", "2 values are returned", "one"),
    "a share in some cases only": (
        spec("if x > 0:\n    return x, 1\nreturn x", "@loss()"), 6, "if x > 0", "one case gives several", "every case",
    ),
    "a condition returned": (spec("return x > 0"), 4, "def f(x):", "a condition is returned", "1 if condition else 0"),
    "no array": (spec("return 2 * a", signature="a: Real = 1"), 4, "def f", "no array argument", "Tensor"),
    "probabilities only": (
        spec("return p * q", signature="p: Prob, q: Prob"), 4, "def f", "none of its arguments is a Tensor",
        "'p: Tensor', of a probability '0 <= Tensor <= 1'",
    ),
    "calls itself": (spec("return f(x)"), 6, "return f(x)", "f calls itself", "finite"),
    "other form with an unknown name": (
        spec("return x", '@activation(also={"y": "nowhere"})'), 3, "@activation", "in the other form 'y'", "names of",
    ),
    "other form that is another function": (
        spec("return max(0, x)", '@activation(also={"abs(x)": "nowhere"})'),
        4, "def f", "is 1 at x = -1, the definition 0",
        "agree",
    ),
    "a function returned": (spec("return sum\ny = x"), 4, "def f(x):", "'sum' is returned", "a number"),
    "huge power": (spec("return x + 10 ** 10 ** 10"), 6, "return x + 10", "beyond 4096", "no float"),
    "huge literal": (spec("return x + 1e99999999"), 6, "return x + 1e", "beyond every float", "inf"),
    "huge unpacking": (spec("return x", signature="x: Tensor[1e300]"), 4, "def f", "is not an axis", "from 1 to 64"),
    "half an axis": (spec("return x", signature="x: Tensor[1.5]"), 4, "def f", "'3/2' is not an axis", "declared"),
    "limit by identity": (spec("return x*a", signature="x, a: Real is 1 = 1"), 4, "def f", "no limit 'is'", "> >="),
    "stray statement": (IMPORTS + "print(1)\n", 3, "print(1)", "no bare expression at its top level", "functions"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(tmp_path: Path, name: str) -> None:
    """The error stands at the right line, quotes it, says what is wrong, and hints at what to do."""
    text, line, quoted, what, hint = MISTAKES[name]
    error = error_of(tmp_path, text)
    first, *rest = str(error).splitlines()
    assert first.startswith(f"{tmp_path}/wrong.py:{line}: ")
    assert what in first
    assert rest[0].startswith("    " + quoted)
    assert hint in "\n".join(rest[1:])
    assert (error.file, error.line) == (f"{tmp_path}/wrong.py", line)


CALLS = {
    "missing": ("g(a=x)", "g needs 'x'", "g(x, a, mode)"),
    "unknown keyword": ("g(x, b=1)", "g has no argument 'b'", "hint: "),
    "twice": ("g(x, x=x)", "g gets 'x' twice", "g("),
    "too many": ("g(x, 1, 2)", "takes 2 positional arguments, and 3", "g("),
    "outside the domain": ("g(x, -1)", "g: 'a' is -1, and its role is Real > 0", "> 0"),
    "no choice": ('g(x, mode="slo")', "g: 'mode' is 'slo'", "did you mean 'slow'?"),
    "None": ("g(x, None)", "g: 'a' is None", "None is allowed"),
}


@pytest.mark.parametrize("name", CALLS)
def test_wrong_call(tmp_path: Path, name: str) -> None:
    """A spec that is called with arguments that do not fit is reported where it is called."""
    call, what, hint = CALLS[name]
    shared = '@function\ndef g(x, a: Real > 0 = 1, *, mode: Literal["slow", "fast"] = "slow"):\n    """Shared."""\n'
    shared += '    return a * x if mode == "slow" else a * x * 2\n'
    error = error_of(tmp_path, IMPORTS + shared + spec(f"return {call}").removeprefix(IMPORTS))
    assert what in str(error)
    assert hint in str(error)
    assert error.line == 10


def test_defined_twice_in_two_files(tmp_path: Path) -> None:
    """A name that two files define is an error that names both places, and so is a taken alias."""
    (tmp_path / "a.py").write_text(spec("return x"), encoding="utf-8")
    (tmp_path / "b.py").write_text(spec("return 2 * x", '@activation(aliases=("f",))', name="g"), encoding="utf-8")
    with pytest.raises(SpecError, match=r"b\.py:4: g: 'f' is defined twice, first at .*a\.py:4"):
        load(tmp_path)


def test_import_of_an_unknown_name(tmp_path: Path) -> None:
    """A name that symgen.spec, the catalogue or another spec lacks is reported with the nearest one."""
    (tmp_path / "shared.py").write_text(spec("return x", "@function", name="square"), encoding="utf-8")
    for line, hint in {
        "from symgen.spec import Reall": "did you mean 'Real'?",
        "from symgen.catalogue import softplu": "did you mean 'softplus'?",
        "from .shared import squar": "did you mean 'square'?",
        "from .shard import square": "did you mean 'shared'?",
        "from symgen.spec import *": "name what is used",
    }.items():
        error = error_of(tmp_path, line + "\n" + spec("return x"))
        assert hint in str(error)
        assert error.line == 1
    bare = spec("return x").removeprefix(IMPORTS)
    assert "an import of everything" in str(error_of(tmp_path, "from symgen.spec import *\n" + bare))


def test_reserved_names_are_free_where_they_collide_with_nothing(tmp_path: Path) -> None:
    """A shared part has no public face, and a Mask is what ``where`` means there."""
    text = IMPORTS + '@function\ndef h(g, out):\n    """Shared."""\n    return g * out\n'
    text += spec("return h(x, 2) if where else 0", signature="x, *, where: Mask = True").removeprefix(IMPORTS)
    path = tmp_path / "free.py"
    path.write_text(text, encoding="utf-8")
    assert load(path)["f"].argument("where").role.kind == "mask"


def test_circular_import(tmp_path: Path) -> None:
    """Files that import each other are an error that shows the circle."""
    (tmp_path / "a.py").write_text("from .b import g\n" + spec("return g(x)"), encoding="utf-8")
    (tmp_path / "b.py").write_text("from .a import f\n" + spec("return f(x)", name="g"), encoding="utf-8")
    with pytest.raises(SpecError, match=r"a\.py -> b\.py -> a\.py"):
        load(tmp_path)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    """A path that is not there, and a file that is not text, are spec errors as well."""
    with pytest.raises(SpecError, match="there is no such file or folder"):
        load(tmp_path / "nowhere")
    (tmp_path / "latin.py").write_bytes(b"# \xe9\n")
    with pytest.raises(SpecError, match="not UTF-8"):
        load(tmp_path)
    (tmp_path / "latin.py").write_bytes(b"x = 1\0\n")
    with pytest.raises(SpecError, match="not Python"):
        load(tmp_path)


def test_endless_formula(tmp_path: Path) -> None:
    """A formula of thousands of nested terms is an error, not a crash."""
    path = tmp_path / "endless.py"
    path.write_text(spec("return " + " + ".join(["x"] * 3000)), encoding="utf-8")
    with pytest.raises(SpecError, match="nested too deeply"):
        load(path)


def test_an_error_survives_a_process_pool() -> None:
    """A SpecError keeps its message, file and line when it is pickled."""
    error = pickle.loads(pickle.dumps(SpecError("a.py:3: wrong", "a.py", 3)))
    assert (str(error), error.file, error.line) == ("a.py:3: wrong", "a.py", 3)
