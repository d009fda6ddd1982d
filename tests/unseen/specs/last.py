"""Formulas of every kind, written last."""

from symgen.spec import abs, activation, atan, atanh, cos, cosh, erf, erfc, exp, log, max, min, pi, sin, sinh, sqrt, tanh, Tensor


@activation()
def gaussian_line(x):
    """A line under a normal density."""
    return x * exp(-(x**2))


@activation()
def versine_share(x: Tensor != 0):
    """What a cosine lacks to one, by its angle."""
    return (1 - cos(x)) / x


@activation()
def area_tangent_gap(x: -1 < Tensor < 1):
    """The inverse hyperbolic tangent above its argument."""
    return log((1 + x) / (1 - x)) / 2 - x


@activation()
def exp_sine(x):
    """A periodic gain."""
    return exp(sin(x)) - 1


@activation()
def circle_segment(x):
    """Twice the area of a segment of the unit circle."""
    return x - sin(x) * cos(x)


@activation()
def tanh_share(x: Tensor != 0):
    """Hyperbolic tangent by its argument."""
    return tanh(x) / x


@activation()
def cosecant_gap(x: Tensor != 0):
    """A pole without its hyperbolic twin."""
    return 1 / x - 1 / sinh(x)


@activation()
def coth_product(x: Tensor != 0):
    """A hyperbolic cotangent times its argument, above one."""
    return x / tanh(x) - 1


@activation()
def log_cosh_share(x: Tensor != 0):
    """A logarithm of a hyperbolic cosine by its argument."""
    return log(cosh(x)) / x


@activation()
def arrhenius(x: Tensor > 0):
    """Arrhenius' law in the reduced temperature."""
    return exp(-1 / x)


@activation()
def self_power(x: Tensor > 0):
    """A number to its own power."""
    return x**x


@activation()
def compound_interest(x: Tensor > 0):
    """Interest compounded x times."""
    return (1 + 1 / x) ** x


@activation()
def even_softplus(x):
    """The even part of softplus."""
    return log(1 + exp(x)) - log(2) - x / 2


@activation()
def cubed_sigmoid(x):
    """A generalised logistic function."""
    return 1 / (1 + exp(-x)) ** 3


@activation()
def atan_exp_gate(x):
    """A gate that is an arc tangent of an exponential."""
    return x * atan(exp(x))


@activation()
def tanh_or_line(x):
    """The larger of a line and a hyperbolic tangent."""
    return max(x, tanh(x))


@activation()
def capped_exp_line(x):
    """A line that decays to the left."""
    return min(1, exp(x)) * x


@activation()
def lorentz_second(x):
    """A hyperbola beyond its second order."""
    return sqrt(1 + x**2) - 1 - x**2 / 2


@activation()
def atan_hill_gap(x):
    """An arc tangent above a rational function with its slope."""
    return atan(x) - x / (1 + x**2)


@activation()
def erf_line_gap(x):
    """The error function below its tangent."""
    return erf(x) - 2 * x / sqrt(pi)


@activation()
def erf_share(x: Tensor != 0):
    """The error function by its argument."""
    return erf(x) / x


@activation()
def emg_tail(x):
    """The tail of an exponentially modified normal density."""
    return exp(x) * erfc(x)


@activation()
def scaled_erfc(x):
    """The scaled complementary error function."""
    return exp(x**2) * erfc(x)


@activation()
def log_erfc(x):
    """Its logarithm."""
    return log(erfc(x))


@activation()
def log_gumbel_survival(x):
    """The logarithm of Gumbel's survival function."""
    return log(1 - exp(-exp(x)))


@activation()
def gumbel_share(x):
    """Gumbel's distribution function."""
    return exp(-exp(-x))


@activation()
def soliton_line(x):
    """A line under a soliton."""
    return x * (1 - tanh(x) ** 2)


@activation()
def log_square_line(x):
    """A line times the logarithm of one and its square."""
    return log(x**2 + 1) * x


@activation()
def three_halves(x):
    """A power of a distance."""
    return abs(x) ** 1.5


@activation()
def damped_cosine(x):
    """A damped oscillation, both ways."""
    return exp(-abs(x)) * cos(x)


@activation()
def softplus_rest(x):
    """Softplus above its kink."""
    return log(1 + exp(x)) - max(x, 0)


@activation()
def root_log(x):
    """The root of a robust loss."""
    return sqrt(log(1 + x**2))


@activation()
def area_half_tanh(x):
    """An inverse hyperbolic tangent of half a hyperbolic tangent."""
    return atanh(tanh(x) / 2)


@activation()
def log_tanh_half(x: Tensor > 0):
    """Gudermann's logarithm."""
    return log(tanh(x / 2))


@activation()
def entropy_gap(x: Tensor > 0):
    """Relative entropy of a rate to one."""
    return x * log(x) - x + 1


@activation()
def log_mean(x: Tensor > 1):
    """The reciprocal of a logarithmic mean."""
    return log(x) / (x - 1)


@activation()
def geometric_three(x: Tensor != 1):
    """Three terms of a geometric series by their closed form."""
    return (x**3 - 1) / (x - 1)


@activation()
def logistic_density(x):
    """Density of the logistic distribution."""
    return exp(x) / (1 + exp(x)) ** 2


@activation()
def log_sum_powers(x):
    """The logarithm of a sum of powers of one exponential."""
    return log(exp(x) + exp(2 * x))


@activation()
def half_cosine_gate(x):
    """A gate that is a root of a sigmoid."""
    return x * sqrt((1 + tanh(x)) / 2)


@activation()
def charbonnier_shift(x):
    """Charbonnier's loss with a small scale, from zero."""
    return sqrt(x**2 + 1e-6) - 1e-3


@activation()
def quick_gelu_gap(x):
    """The quick form of gelu without its kink."""
    return x / (1 + exp(-1.702 * x)) - max(x, 0)


@activation()
def area_sine_share(x: Tensor > 0):
    """The inverse hyperbolic sine by its argument."""
    return log(x + sqrt(x**2 + 1)) / x


@activation()
def redshift(x):
    """What a Lorentz factor takes from one."""
    return 1 - 1 / sqrt(1 + x**2)


@activation()
def angle_gate(x):
    """A gate that is an arc tangent."""
    return x * (0.5 + atan(x) / pi)
