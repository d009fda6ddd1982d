"""What was measured of CUDA kernels: shown on cards, and told where it is of other kernels than there are."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from symgen import build, build_check, build_keys, cli_show, config
from symgen.backends.latex_device import measured
from symgen.certify_cuda import COMMENT
from symgen.files import UserError
from symgen.resources import PACKAGE

ROW = {"output": "value", "error": 1.9, "beside_roots": 0.0, "instructions": 26, "bytes": 8, "access": 16,
       "registers": 23}  # fmt: skip


def test_a_card_tells_what_was_measured():
    (name, text), = measured({"cuda": [ROW, {**ROW, "output": "other"}]}, {"value": "f"})
    assert name == "CUDA float32"
    assert text == "$f$ 1.900 ULP, 26 instructions, 8 bytes in accesses of 16, 23 registers"
    assert measured({"cuda": [{**ROW, "registers": None, "beside_roots": 127.0}]}, {"value": "f"})[0][1] == (
        "$f$ 1.900 ULP, 127 beside roots, 26 instructions, 8 bytes in accesses of 16"
    )
    assert measured(None, {"value": "f"}) == []


def test_figures_of_other_kernels_are_told(monkeypatch, tmp_path):
    """Of a function without figures nothing is told: they are an extra."""
    project = config.load(PACKAGE.parent)
    names = ("relu", "softmax")
    place = tmp_path / "certificates" / build_keys.DEVICE
    place.mkdir(parents=True)
    entries = {n: {"cuda": {"kernel": f"kernel of {n}"}} for n in (*names, "gelu")}
    (tmp_path / "manifest.json").write_text(json.dumps({"functions": entries}), encoding="utf-8")
    for n in names:
        (place / f"{n}.json").write_text(json.dumps({"kernel": "kernel of relu", "outputs": []}), encoding="utf-8")
    monkeypatch.setattr(build_check.build, "read_manifest", lambda out: {"functions": entries})
    assert build_check.uncertified_devices(replace(project, out=tmp_path)) == ("softmax",)


def test_a_build_keeps_what_was_measured_of_functions_that_there_are(tmp_path):
    place = tmp_path / "certificates" / build_keys.DEVICE
    place.mkdir(parents=True)
    for n in ("relu", "gone"):
        (place / f"{n}.json").write_text(json.dumps({"comment": COMMENT, "kernel": "1"}, indent=1), encoding="utf-8")
    assert build._orphans(tmp_path, set(), ["relu"]) == ("certificates/cuda/gone.json",)


def test_a_list_tells_what_was_measured_of_the_kernels_that_there_are(monkeypatch, tmp_path, capsys):
    """A row for each output; a function that was not measured since its kernels changed, or that has none, says so."""
    project = replace(config.load(PACKAGE.parent), out=tmp_path)
    place = tmp_path / "certificates" / build_keys.DEVICE
    place.mkdir(parents=True)
    entries = {"relu": {"cuda": {"kernel": "1"}}, "softmax": {"cuda": {"kernel": "2"}}, "info_nce_loss": {"cuda": None}}
    for n in ("relu", "softmax"):
        text = json.dumps({"kernel": "1", "outputs": [ROW, {**ROW, "output": "grad", "registers": None}]})
        (place / f"{n}.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(cli_show, "current", lambda: project)
    monkeypatch.setattr(cli_show.build_keys, "targets", lambda project: entries)
    monkeypatch.setattr(cli_show.driver, "read_manifest", lambda out: {"functions": entries})
    assert cli_show.list_functions(cuda=True, json=True) == 0
    value, slope, softmax, none = json.loads(capsys.readouterr().out)
    assert value == {"name": "relu", **ROW}
    assert (slope["output"], slope["registers"]) == ("grad", None)
    assert (softmax["output"], softmax["error"]) == ("not measured", None)
    assert none["output"] == "no CUDA kernels"
    assert cli_show.list_functions(cuda=True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].split() == ["relu", "value", "1.9", "26", "8", "16", "23", "0"]
    with pytest.raises(UserError, match="two lists"):
        cli_show.list_functions(cuda=True, accuracy=True)
