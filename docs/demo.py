"""What the generated kernels are for, on real arrays: the derivative of the logistic function far out in its tail."""

import numpy as np

import symgen.functional as F


def main() -> None:
    x = np.array([5.0, 16.0, 18.0, 30.0, 80.0], dtype=np.float32)
    with np.errstate(over="ignore"):
        s = 1 / (1 + np.exp(-x))
        naive = s * (1 - s)
    kernel = F.sigmoid.grad(x)
    wide = x.astype(np.float64)
    exact = (np.exp(-np.abs(wide)) / (1 + np.exp(-np.abs(wide))) ** 2).astype(np.float32)

    print("\nThe derivative of sigmoid(x), in float32")
    print(f"{'x':>6} {'s * (1 - s)':>16} {'F.sigmoid.grad':>16} {'true, rounded':>16}")
    for row in zip(x, naive, kernel, exact, strict=True):
        print("{:>6g} {:>16.8g} {:>16.8g} {:>16.8g}".format(*row))

    images = np.random.default_rng(0).standard_normal((8, 3, 32, 32), dtype=np.float32)
    slopes = np.array([0.1, 0.2, 0.3], dtype=np.float32)
    ones = np.ones_like(images)
    gx, gslopes = F.prelu.vjp(ones, images, slopes)
    print(f"\nF.prelu on {images.shape}, one slope for each channel: gradients of shape {gx.shape} and {gslopes.shape}")
    value, slope = F.gelu.value_and_grad(images)
    print(f"F.gelu.value_and_grad in one pass: {value.dtype}{list(value.shape)} and {slope.dtype}{list(slope.shape)}")


if __name__ == "__main__":
    main()
