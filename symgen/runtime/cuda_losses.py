"""Losses on a GPU: of each element, or their sum or mean and its gradients, without a word to the processor between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .calls import given_outputs
from .cuda import DeviceCall, DeviceKernel, Sums, remembered
from .cuda_arrays import View
from .execute import bare
from .losses import DIFFERENTIABLE, reduction_of
from .manifest import Argument

Keywords = Mapping[str, Any]


class DeviceLoss(DeviceKernel):
    """The CUDA kernels of one loss; ``reduction`` is as on the processor, and a reduced loss an array without axes.

    Sums are those of numbers in the arithmetic of the arrays, each with what it is missing: they are the same at every
    run, and their error does not grow with the number of elements.
    """

    roles = DIFFERENTIABLE

    @remembered
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """The loss: of each sample, or reduced to a number."""
        if self._how(self.__name__, kwargs) == "none":
            return super().__call__(*args, **self._plain(kwargs))
        call, how = self._reduced(self.__name__, args, kwargs, {"out": None})
        out, place = call.result(given_outputs(call.method, call.call.extras["out"], 1)[0], ())
        divisor, shares = self._divisor(call, how)
        self._divide(call, self._sum(call, "sum_value", []), place, divisor, shares)
        return out

    @remembered
    def grad(self, /, *args: Any, **kwargs: Any) -> Any:
        """The gradient of the reduced loss; without reduction the elementwise derivative."""
        method = f"{self.__name__}.grad"
        if self._how(method, kwargs) == "none":
            return super().grad(*args, **self._plain(kwargs))
        if kwargs.get("order", 1) != 1:
            raise ValueError(f"{method}(): order=2 is elementwise and needs reduction='none'")
        call, how = self._reduced(method, args, kwargs, {"out": None, "wrt": None, "order": 1})
        return bare(self._scaled(call, how, ("tensor",), None, with_value=False)[1])

    @remembered
    def value_and_grad(self, /, *args: Any, **kwargs: Any) -> Any:
        """The loss and its gradient; one pass over memory where the gradients are those of all tensors."""
        method = f"{self.__name__}.value_and_grad"
        if self._how(method, kwargs) == "none":
            return super().value_and_grad(*args, **self._plain(kwargs))
        call, how = self._reduced(method, args, kwargs, {"out": None, "wrt": None})
        number, found = self._scaled(call, how, ("tensor",), None, with_value=True)
        return number, bare(found)

    @remembered
    def vjp(self, /, *args: Any, **kwargs: Any) -> Any:
        """The gradients of ``sum(g * loss)``."""
        method = f"{self.__name__}.vjp"
        if self._how(method, kwargs) == "none":
            return super().vjp(*args, **self._plain(kwargs))
        call, how = self._reduced(method, args, kwargs, {"out": None, "wrt": None}, "g")
        face = call.faces.get("g")
        if face is not None and face.size != 1:
            raise ValueError(f"{method}(): g has shape {face.shape}; the reduced loss is one number")
        return bare(self._scaled(call, how, self.roles, call.leading, with_value=False)[1])

    def hvp(self, /, *args: Any, **kwargs: Any) -> Any:
        """There is none yet."""
        raise NotImplementedError(
            f"{self.__name__}.hvp(): has no CUDA kernel yet; multiply grad(..., order=2, reduction='none') by v"
        )

    def _how(self, method: str, kwargs: Keywords) -> str:
        return reduction_of(method, kwargs.get("reduction", self._caller.function.reduction))

    @staticmethod
    def _plain(kwargs: Keywords) -> dict[str, Any]:
        return {k: v for k, v in kwargs.items() if k != "reduction"}

    def _reduced(self, method: str, args: tuple[Any, ...], kwargs: Keywords, extras: dict[str, Any], leading: str = ""
                 ) -> tuple[DeviceCall, str]:
        how = self._how(method, kwargs)
        call = self._prepared(method, args, self._plain(kwargs), extras, leading)
        return call, reduction_of(method, how, call.shape)

    def _divisor(self, call: DeviceCall, how: str) -> tuple[float, Sums | None]:
        """What the sum of the losses is divided by: a number, and the sum of the shares where samples have one."""
        if how == "mean" and "share" in call.plan.variant.outputs and call.size:
            return 1.0, self._sum(call, "sum_share", [])
        return float({"sum": 1, "mean": call.size, "batchmean": [*call.shape, 1][0]}[how]), None

    def _scaled(self, call: DeviceCall, how: str, roles: tuple[str, ...], g: View | None, with_value: bool
                ) -> tuple[Any, list[Any]]:
        """The reduced loss, where it is wanted, and the gradients in all targets."""
        targets = self._targets(call, roles)
        divisor, shares = self._divisor(call, how)
        shared = [t.name for t in targets if shares and f"share_grad_{t.name}" in call.plan.variant.outputs]
        total = self._sum(call, "sum_value", []) if shared else None
        factors = self._factors(call, g, total, shares, divisor)
        tensors = self._caller.function.tensors
        if not with_value:
            return None, self._gradients(call, targets, factors, shared)
        if targets == list(tensors) and not shared and not any(map(call.single, targets)):
            total, found = self._fused(call, targets, factors)
        else:
            found = self._gradients(call, targets, factors, shared)
            total = total or self._sum(call, "sum_value", [])
        number, place = call.result(None, ())
        self._divide(call, total, place, divisor, shares)
        return number, found

    def _fused(self, call: DeviceCall, targets: Sequence[Argument], factors: Sequence[View]) -> tuple[Sums, list[Any]]:
        """Gradients in all tensors and the sum of the losses, in one pass."""
        outs = given_outputs(call.method, call.call.extras["out"], len(targets))
        made = [call.result(out) for out in outs]
        return self._sum(call, "sum_value_and_vjp", factors[:1], [v for _, v in made]), [a for a, _ in made]
