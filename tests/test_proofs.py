"""Obligations: each is run under a limit, what is not decided is not proved, and the command says what was done."""

import json
import time
from functools import partial

import pytest

from symgen import cli, proofs
from symgen.proofs import Obligation, Proof, Refutation, Undecided


def _answer(verdict):
    return verdict


def _forever():
    while True:
        try:
            time.sleep(0.01)
        except Exception:  # noqa: BLE001  what a tactic that tries several things does
            continue


def test_a_proof_that_takes_too_long_is_undecided():
    """The limit interrupts even a tactic that catches every exception, and the next obligation runs as usual."""
    found = proofs.discharge(Obligation("rule", "slow", _forever), limit=0.05)
    assert isinstance(found.verdict, Undecided)
    assert not found.proved
    assert "0.05 s" in str(found.verdict)
    assert proofs.discharge(Obligation("rule", "quick", partial(_answer, Proof("symbolic", 0.0, "said so")))).proved


def test_what_is_claimed_has_a_name_of_its_own():
    """Kind and name together tell obligations apart, and every one can travel to another process."""
    everything = proofs.obligations()
    assert len({(o.kind, o.name) for o in everything}) == len(everything)
    assert {"rule", "procedure", "derivative"} <= {o.kind for o in everything}


@pytest.fixture
def claims(monkeypatch):
    """Replaces what there is to prove."""

    def replaced(*verdicts):
        made = [Obligation("rule", f"claim-{i}", partial(_answer, v)) for i, v in enumerate(verdicts)]
        monkeypatch.setattr(proofs, "obligations", lambda: made)

    return replaced


def test_prove_fails_for_a_refutation_and_for_what_is_undecided(claims, capsys):
    """Exit code 1, the counterexample on stdout, the count on stderr."""
    claims(Proof("symbolic", 0.0, "one normal form"), Refutation("at u = 1: left 2, right 3", 0.0))
    assert cli.run(["prove"]) == 1
    out, err = capsys.readouterr()
    assert "refuted at u = 1: left 2, right 3" in out
    assert "1 of 2 proved" in err
    claims(Undecided("no tactic fits", 0.0))
    assert cli.run(["prove"]) == 1


def test_a_proof_by_sampling_is_counted_apart(claims, capsys):
    """A label that claims points only is not lost among exact ones."""
    claims(Proof("symbolic", 0.0, "one normal form"), Proof("sampled at 60 digits", 0.0, "equal at 10 points"))
    assert cli.run(["prove"]) == 0
    assert "2 of 2 proved, 1 by sampling alone" in capsys.readouterr().err


def test_one_rule_is_proved_by_its_name(capsys):
    """The label and the evidence as data; a name that nothing has is an error that suggests one."""
    assert cli.run(["prove", "tanh-square", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["name"], found["label"]) == ("rule", "tanh-square", "symbolic")
    assert "normal form" in found["evidence"]
    assert cli.run(["prove", "tanh-squared"]) == 2
    assert "did you mean 'tanh-square'" in capsys.readouterr().err


def test_rules_are_listed_with_proofs_and_users(capsys):
    """Each rule has its domain, its label and evidence, and the functions whose derivation applies it."""
    assert cli.run(["rules", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["erfcx-intro"]["evidence"].startswith("one normal form")
    assert rows["log1mexp-intro"]["domain"] == "a positive"
    assert "silu" in rows["sigmoid-intro"]["used by"]
    assert cli.run(["rules", "sigmoid-intro"]) == 0
    assert "used by" in capsys.readouterr().out
