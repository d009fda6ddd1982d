"""Wrong identities, and true ones that are no stable forms: what provers and measurements have to refuse.

Many of them shipped somewhere: in the derivative table of a toolkit, as a rewrite of a compiler, in a loss that users
reported. Each is a left side, the right side that somebody took for it, and the domain on which it was claimed.
"""

from sympy import Abs, Rational, S, acosh, asinh, atan, atanh, cos, cosh, exp, log, pi, sin, sinh, sqrt, tan

from symgen.heads import Cases, maximum, minimum, weighted
from symgen.rules.rule import a, b, u, v
from symgen.vocabulary import (
    erf,
    erfc,
    erfcx,
    expm1,
    hypot,
    log1mexp,
    log1p,
    log_half_erfc,
    log_mixture,
    mixture_surprise,
    sech2,
    sigmoid,
    softplus,
    tanh,
)

POSITIVE_U = ((u, "positive"),)
BOTH_POSITIVE = ((u, "positive"), (v, "positive"))


def larger(p, q):
    """``q if q > p else p``, one step of a search for the maximum."""
    return Cases(q > p, q, p)


WRONG = {
    # shipped in public libraries
    "logsumexp with the minimum outside": (log(exp(u) + exp(v)), maximum(u, v) + log1p(exp(minimum(u, v))), ()),
    "tanh' of a mature toolkit": (sech2(u), (1 - tanh(u)) ** 2, ()),
    "maximum search that compares with the first entry": (
        maximum(maximum(u, v), a), Cases(a > u, a, larger(u, v)), ()),
    "cross entropy whose exponential grows": (
        softplus(u) - u * v, maximum(u, S.Zero) - u * v + log1p(exp(Abs(u))), ()),
    "gelu by a hyperbolic tangent": (
        u * erfc(-u / sqrt(2)) / 2, u * sigmoid(2 * sqrt(2 / pi) * (u + Rational(44715, 10**6) * u**3)), ()),
    "gelu by a logistic": (u * erfc(-u / sqrt(2)) / 2, u * sigmoid(Rational(1702, 1000) * u), ()),
    "log-cosh without its constant": (log(cosh(u)), Abs(u) + softplus(-2 * Abs(u)), ()),
    # derivatives
    "sigmoid' without the second factor": (sigmoid(u) * sigmoid(-u), sigmoid(u) ** 2, ()),
    "softplus' reflected": (1 - 1 / (1 + exp(u)), sigmoid(-u), ()),
    "silu' with a square": (sigmoid(u) * (1 + u * sigmoid(-u)), sigmoid(u) + u * sigmoid(u) ** 2, ()),
    "sech2' without a factor": (-2 * tanh(u) * sech2(u), -tanh(u) * sech2(u), ()),
    "log_half_erfc' with the wrong sign": (
        -2 / sqrt(pi) * exp(-(u**2)) / erfc(u), 2 / sqrt(pi) / erfcx(u), ()),
    # exponentials and logarithms
    "exponential of a sum": (exp(u + v), exp(u) + exp(v), ()),
    "expm1 as a square": (expm1(2 * u), expm1(u) ** 2, ()),
    "expm1 of a double": (expm1(2 * u), 2 * expm1(u), ()),
    "log of a product of signs": (log(u * v), log(u) + log(v), ()),
    "log of a square": (log(u**2), 2 * log(u), ()),
    "log1p as log": (log1p(u), log(u), ()),
    "log1p of a difference": (log1p(u) - log1p(v), log1p(u - v), BOTH_POSITIVE),
    "log of a ratio, logs mixed up": (u * log(u / v), u * log(u) - v * log(v), BOTH_POSITIVE),
    "logit with the wrong sign": (log(u / (1 - u)), log(u) + log1p(-u), ()),
    "log of a difference, turned round": (log(exp(u) - exp(v)), u + log1mexp(v - u), ()),
    "compound interest, first order": ((1 + u) ** v, 1 + u * v, POSITIVE_U),
    "power near one, first order": (u**b - 1, b * log(u), POSITIVE_U),
    # logistic and hyperbolic
    "sigmoid reflected": (1 / (1 + exp(u)), sigmoid(u), ()),
    "softplus reflected with the wrong sign": (softplus(-u), softplus(u) + u, ()),
    "tanh of softplus, wrong constant": (
        tanh(softplus(u)), (exp(2 * u) + 2 * exp(u)) / (exp(2 * u) + 2 * exp(u) + 1), ()),
    "tanh as a sigmoid of the same argument": (1 + tanh(u), 2 * sigmoid(u), ()),
    "sech2 as a reciprocal": (sech2(u), 1 / cosh(u), ()),
    "sinh of a double": (sinh(2 * u), 2 * sinh(u), ()),
    "hyperbolic Pythagoras": (cosh(u) ** 2 - sinh(u) ** 2, -S.One, ()),
    "area functions mixed up": (asinh(u), log(u + sqrt(u**2 - 1)), ()),
    "acosh on the other branch": (acosh(u), log(u - sqrt(u**2 - 1)), ()),
    "atanh without its half": (atanh(u), log((1 + u) / (1 - u)), ()),
    "focal factor, turned round": (sigmoid(-u) ** 2, exp(-2 * softplus(-u)), ()),
    "mixture of the wrong shares": (
        a * sigmoid(u) + (1 - a) * sigmoid(-u), exp(log_mixture(u, a)), ((a, "nonnegative"), (1 - a, "nonnegative"))),
    "surprise over the wrong power": (
        exp((v - 1) * log_mixture(u, a)) * (-weighted(a, -softplus(-u)) - weighted(1 - a, -softplus(u))),
        exp((v - 1) * log_mixture(u, a)) * mixture_surprise(u, a), ((a, "nonnegative"), (1 - a, "nonnegative"))),
    # error functions
    "erfc reflected about one": (erfc(-u), 1 - erfc(u), ()),
    "erf even": (erf(-u), erf(u), ()),
    "scaled tail, scaled down": (erfcx(u), exp(-(u**2)) * erfc(u), ()),
    "log of a tail without its half": (log(erfc(u)), log_half_erfc(u), ()),
    # powers and roots
    "hypot as a sum": (hypot(u, v), Abs(u) + Abs(v), ()),
    "root of a square without abs": (sqrt(u**2), u, ()),
    "root of a sum": (sqrt(u + v), sqrt(u) + sqrt(v), BOTH_POSITIVE),
    "conjugate with the wrong sign": (hypot(u, v) - u, v**2 / (hypot(u, v) - u), ()),
    "conjugate that is 0/0 where the left side is not": (hypot(u, v) - u, v**2 / (hypot(u, v) + u), ()),
    "difference of squares as a square": (u**2 - v**2, (u - v) ** 2, ()),
    "difference of cubes with the wrong sign": (u**3 - v**3, (u - v) * (u**2 - u * v + v**2), ()),
    # circular
    "cosine of a sum": (cos(u + v), cos(u) * cos(v) + sin(u) * sin(v), ()),
    "versine of the whole angle": (1 - cos(u), 2 * sin(u) ** 2, ()),
    "difference of sines, factors exchanged": (sin(u) - sin(v), 2 * sin((u + v) / 2) * cos((u - v) / 2), ()),
    "tangent of half an angle": (tan(u / 2), (1 + cos(u)) / sin(u), ()),
    "difference of arcs beyond the branch": (atan(u) - atan(v), atan((u - v) / (1 + u * v)), ()),
    "reciprocal arcs on both sides": (atan(u) + atan(1 / u), pi / 2, ()),
    # what sampling in the middle does not see
    "wrong in the far tail only": (sigmoid(u), sigmoid(u) + exp(-200 - u**2), ()),
    "wrong at a tie only": (Abs(u), Cases(u > 0, u, Cases(u < 0, -u, S.One)), ()),
}  # fmt: skip

# true over the reals, and worse in floating point than the left side: overflow, a lost tail, or cancellation
UNSTABLE = {
    "softplus of -x through e^x": (log(1 + exp(-u)), -u + log1p(exp(u)), ()),
    "softplus without a shift": (softplus(u), log1p(exp(u)), ()),
    "log-sigmoid as a difference": (-softplus(-u), u - softplus(u), ()),
    "sigmoid as a ratio of exponentials": (sigmoid(u), exp(u) / (1 + exp(u)), ()),
    "sigmoid' from the output": (sigmoid(u) * sigmoid(-u), sigmoid(u) * (1 - sigmoid(u)), ()),
    "tanh' from the output": (sech2(u), 1 - tanh(u) ** 2, ()),
    "tanh' as a product from the output": (sech2(u), (1 - tanh(u)) * (1 + tanh(u)), ()),
    "tanh by exponentials": (tanh(u), (exp(2 * u) - 1) / (exp(2 * u) + 1), ()),
    "expm1 as a difference": (expm1(u), exp(u) - 1, ()),
    "log1p as a logarithm": (log1p(u), log(1 + u), ()),
    "log1mexp as a logarithm": (log1mexp(u), log(1 - exp(-u)), POSITIVE_U),
    "erfc as a complement": (erfc(u), 1 - erf(u), ()),
    "scaled tail as a product": (erfcx(u), exp(u**2) * erfc(u), ()),
    "log of a tail that underflows": (log_half_erfc(u), log(erfc(u) / 2), ()),
    "hypot as a root of squares": (hypot(u, v), sqrt(u**2 + v**2), ()),
    "log-sum-exp without a shift": (v + softplus(u - v), log(exp(u) + exp(v)), ()),
    "versine as a difference": (2 * sin(u / 2) ** 2, 1 - cos(u), ()),
    "cosh - 1 as a difference": (2 * sinh(u / 2) ** 2, cosh(u) - 1, ()),
}  # fmt: skip

