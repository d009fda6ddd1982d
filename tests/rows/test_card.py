"""Cards of row functions: their plots are the function, and their derivations name each free parameter."""

from __future__ import annotations

import re

import numpy as np
import pytest

from symgen import sheet
from symgen.resources import PACKAGE
from symgen.rows.card import card
from symgen.rows.derive import derive
from symgen.rows.plot import POINTS, plot
from tests.rows.hard import OPS

INDICES = re.compile(r"_(\w|\{[^{}]*\})_")

def curves(name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The coordinates on the card by legend."""
    drawn, _ = plot(OPS[name], OPS[name].variants[0])
    pairs = {c.label: re.findall(r"\(([^,]+),([^)]+)\)", "".join(c.pieces)) for c in drawn.curves}
    return {label: tuple(np.array(p, float).T) for label, p in pairs.items()}


def test_the_curves_of_softmax_are_its_entries() -> None:
    drawn = curves("softmax")
    assert list(drawn) == ["$f_1$", "$f_2$", "$f_3$"]
    for i, (t, y) in enumerate(drawn.values()):
        row = np.stack([t, np.zeros_like(t), np.ones_like(t)], axis=-1)
        want = np.exp(row) / np.exp(row).sum(-1, keepdims=True)
        assert POINTS // 3 < len(t) <= POINTS
        np.testing.assert_allclose(y, want[:, i], rtol=1e-4, atol=1e-5)


def test_one_number_is_drawn_with_its_derivative() -> None:
    drawn = curves("logsumexp")
    (t, y), (s, slope) = drawn.values()
    np.testing.assert_allclose(y, np.log(np.exp(t) + 1 + np.e), rtol=1e-4)
    np.testing.assert_allclose(slope, 1 / (1 + (1 + np.e) * np.exp(-s)), rtol=1e-3, atol=1e-4)


def test_what_is_made_of_parts_is_drawn_for_each_of_them() -> None:
    """A gated unit while its first half runs, and while its gate does."""
    (t, y), (s, gate) = curves("swiglu").values()
    np.testing.assert_allclose(y, t / (1 + np.exp(-t)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gate, s / (1 + np.exp(-1)), rtol=1e-4)


def test_a_batch_is_drawn_while_one_entry_of_it_runs() -> None:
    """The rows beside it differ, so that there is something to tell apart."""
    (t, y), (s, slope) = curves("info_nce_loss").values()
    key = np.array([[1, -0.5], [0.25, 0]])
    query = np.stack([[[v, -0.5], [0.25, 0]] for v in t])
    logits = query @ key.T / 0.1
    picked = np.logaddexp.reduce(logits, -1) - np.diagonal(logits, axis1=1, axis2=2)
    np.testing.assert_allclose(y, picked.mean(-1), rtol=1e-4, atol=1e-4)
    middle = (slope[:-1] + slope[1:]) / 2 * np.diff(s)
    assert middle.sum() == pytest.approx(y[-1] - y[0], rel=0.02)


@pytest.mark.parametrize("name", OPS)
def test_every_card_has_a_plot_that_says_what_it_shows(name: str) -> None:
    text = sheet.render_card(card(derive(OPS[name])))
    assert text.count(r"\begin{tikzpicture}") == 1
    assert re.search(r"\\fact\{Shown\}\{.* = \(+t, ", text)


def test_no_card_has_what_tex_refuses() -> None:
    """A second index without braces around the first, and formulas wider than any box; names are those of operands."""
    for path in sorted((PACKAGE.parent / "docs/reference/cards").glob("*.tex")):
        shown = [line for line in path.read_text(encoding="utf-8").splitlines() if "\\addplot" not in line]
        formulas = [line.replace(path.stem, "").replace(r"\_", "") for line in shown]
        assert not [line for line in formulas if INDICES.search(line)], path.name
        assert max(map(len, shown)) < 6000, path.name
        assert not [line for line in shown if re.search(r"\\bar\{[a-z][a-z0-9]+\}", line)], path.name


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("softmax", r"\frac{[\mathrm{where}_{c}]\, e^{x_{c}}}{\sum_{c',\, \mathrm{where}_{c'}} e^{x_{c'}}}"),
        ("logsumexp", r"\log(\sum_{c',\, \mathrm{where}_{c'}} e^{x_{c'}})"),
        ("rms_norm", r"\frac{\mathrm{weight}_{c}\, x_{c}}{\sqrt{\varepsilon + 1/\left|C\right|\, \sum_{c'} x_{c'}^2}}"),
    ],
)
def test_the_definition_is_the_textbook_formula(name: str, formula: str) -> None:
    assert formula in card(derive(OPS[name])).parts[0].definition[0].lines[0]


def test_a_sum_within_a_sum_runs_over_an_index_of_its_own() -> None:
    """The keys of the batch for each query: neither index is that of the mean around both."""
    (line,) = card(derive(OPS["info_nce_loss"])).parts[0].definition[0].lines
    bound = re.findall(r"\\sum_\{([nd]'+)\}", line)
    assert sorted(bound) == ["d'", "d''", "n'", "n''"]


def test_what_runs_has_every_stage_of_the_default_variant() -> None:
    derivation = derive(OPS["layer_norm"])
    (derived,) = derivation.variants
    lefts = [f.left for f in card(derivation).parts[0].forms]
    wanted = {s.out for o in derived.outputs if o.name in ("value", "vjp") for s in o.stable.stages}
    assert len(lefts) == len(set(lefts)) == len(wanted)


def test_the_derivation_names_the_free_parameters_of_value_and_gradient() -> None:
    text = sheet.render_card(card(derive(OPS["softmax"])))
    for formula in (r"\frac{\partial f}{\partial m_{0}} = 0", r"\frac{\partial \bar{x}}{\partial c_{0}} = 0"):
        assert formula in text
    assert r"c_{0}" not in sheet.render_card(card(derive(OPS["log_softmax"])))
