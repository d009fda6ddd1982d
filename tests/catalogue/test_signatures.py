"""Losses that PyTorch has take its arguments, in its order and with its defaults."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import symgen.functional as F

# torch.nn.functional and torchvision.ops, without size_average and reduce: positions up to reduction, then keywords.
TORCH: dict[str, str] = {
    "binary_cross_entropy": "input, target, weight=None, *, reduction='mean'",
    "binary_cross_entropy_with_logits": "input, target, weight=None, *, reduction='mean', pos_weight=None",
    "cosine_embedding_loss": "input1, input2, target, margin=0, *, reduction='mean'",
    "cross_entropy": "input, target, weight=None, ignore_index=-100, *, reduction='mean', label_smoothing=0.0",
    "gaussian_nll_loss": "input, target, var, full=False, eps=1e-6, *, reduction='mean'",
    "giou_loss": "boxes1, boxes2, *, reduction='none', eps=1e-7",
    "hinge_embedding_loss": "input, target, margin=1.0, *, reduction='mean'",
    "huber_loss": "input, target, *, reduction='mean', delta=1.0, weight=None",
    "kl_div": "input, target, *, reduction='mean', log_target=False",
    "l1_loss": "input, target, *, reduction='mean', weight=None",
    "margin_ranking_loss": "input1, input2, target, margin=0, *, reduction='mean'",
    "mse_loss": "input, target, *, reduction='mean', weight=None",
    "multi_margin_loss": "input, target, p=1, margin=1.0, weight=None, *, reduction='mean'",
    "multilabel_margin_loss": "input, target, *, reduction='mean'",
    "multilabel_soft_margin_loss": "input, target, weight=None, *, reduction='mean'",
    "nll_loss": "input, target, weight=None, ignore_index=-100, *, reduction='mean'",
    "poisson_nll_loss": "input, target, log_input=True, full=False, eps=1e-8, *, reduction='mean'",
    "sigmoid_focal_loss": "inputs, targets, *, alpha=0.25, gamma=2, reduction='none'",
    "smooth_l1_loss": "input, target, *, reduction='mean', beta=1.0",
    "soft_margin_loss": "input, target, *, reduction='mean'",
    "triplet_margin_loss": "anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, *, reduction='mean'",
}
OTHER_NAMES = {"boxes1": "input", "boxes2": "target", "inputs": "input", "targets": "target"}


def parameters(text: str) -> list[inspect.Parameter]:
    names: dict[str, Any] = {}
    exec(f"def function({text}): ...", names)
    found = inspect.signature(names["function"]).parameters.values()
    return [p.replace(name=OTHER_NAMES.get(p.name, p.name)) for p in found]


def test_every_such_loss_is_listed(catalogue: Any) -> None:
    """A loss that names PyTorch's is compared with it."""
    assert sorted(TORCH) == sorted(n for n, op in catalogue.ops().items() if op.kind == "loss" and op.torch)


@pytest.mark.parametrize("loss", TORCH)
def test_arguments_are_those_of_pytorch(loss: str) -> None:
    """What PyTorch takes by position is taken at that position, what it takes by name under that name."""
    ours = inspect.signature(getattr(F, loss)).parameters
    theirs = parameters(TORCH[loss])
    places = [p.name for p in theirs if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert [n for n, p in ours.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY][: len(places)] == places
    assert {p.name: p.default for p in theirs} == {p.name: ours[p.name].default for p in theirs}
