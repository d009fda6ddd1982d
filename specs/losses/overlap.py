"""Losses of overlap: of masks along an axis, and of boxes."""

from symgen.spec import Axis, Real, Tensor, function, loss, max, min, sum

D = Axis("D")


@loss(cite="arXiv:1606.04797")
def dice_loss(input: 0 <= Tensor[D] <= 1, target: 0 <= Tensor[D] <= 1, *, smooth: Real >= 0 = 1):
    """One minus the overlap of prediction and target along the last axis."""
    return 1 - (2 * sum(input * target, D) + smooth) / (sum(input, D) + sum(target, D) + smooth)


@loss(cite="arXiv:1706.05721")
def tversky_loss(input: 0 <= Tensor[D] <= 1, target: 0 <= Tensor[D] <= 1, *,
                 alpha: Real >= 0 = 0.5, beta: Real >= 0 = 0.5, smooth: Real >= 0 = 1):
    """One minus the overlap along the last axis, false positives and false negatives weighted apart."""
    both = sum(input * target, D)
    wrong, missed = sum(input * (1 - target), D), sum((1 - input) * target, D)
    return 1 - (both + smooth) / (both + alpha * wrong + beta * missed + smooth)


@function
def area(x1, y1, x2, y2):
    """Area of a box."""
    return (x2 - x1) * (y2 - y1)


@loss(torch="torchvision.ops.generalized_box_iou_loss", reduction="none", cite="arXiv:1902.09630")
def giou_loss(input: Tensor[4], target: Tensor[4], *, eps: Real >= 0 = 1e-7):
    """One minus the generalised intersection over union of two boxes (x1, y1, x2, y2)."""
    a1, b1, a2, b2 = input
    u1, v1, u2, v2 = target
    l, t, r, b = max(a1, u1), max(b1, v1), min(a2, u2), min(b2, v2)
    both = area(l, t, r, b) if r > l and b > t else 0
    either = area(a1, b1, a2, b2) + area(u1, v1, u2, v2) - both
    hull = area(min(a1, u1), min(b1, v1), max(a2, u2), max(b2, v2))
    return 1 - both / (either + eps) + (hull - either) / (hull + eps)
