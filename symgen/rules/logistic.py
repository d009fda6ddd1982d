"""Rules of the logistic family: sigmoid, softplus and the logarithms that are softplus in disguise."""

from __future__ import annotations

from sympy import Abs, Expr, Symbol, exp, log, sign

from symgen.heads import maximum, minimum, weighted
from symgen.rules.rule import Procedure, Rule, a, b, u, v
from symgen.vocabulary import expm1, log1mexp, log1p, log_mixture, mixture_surprise, sigmoid, softplus, tanh

_POSITIVE_FACTOR = ((a, "positive"),)
_TWO_NUMBERS = ((a, "positive"), (b, "positive"), (a, "number"), (b, "number"))

_STEP = ((u - v, "positive"), (u - v, "number"))
_APART = ((u * v, "of several operands"),)

RECOGNIZE = (
    Rule("sigmoid-intro", 1 / (1 + exp(-u)), sigmoid(u),
         "recognize", "one head, whose tails are known", "exponential", "definition of sigmoid"),
    Rule("sigmoid-ratio", exp(u) / (exp(u) + exp(v)), sigmoid(u - v),
         "recognize", "no overflow of both exponentials", "exponential", "definition of sigmoid"),
    Rule("sigmoid-absorb", exp(-u) * sigmoid(u), sigmoid(-u),
         "recognize", "no overflowing times an underflowing factor", "exponential", "PyTensor, local_sigm_times_exp"),
    Rule("sigmoid-power", sigmoid(u) ** v, exp(-v * softplus(-u)),
         "recognize", "no power of an underflow, and none of it divided out in a derivative", "exponential",
         "definition of softplus", ((v, "not a number"),)),
    Rule("mixture-power", (a * sigmoid(-u) + (1 - a) * sigmoid(u)) ** v, exp(v * log_mixture(u, a)),
         "recognize", "no power of an underflow, and none of it divided out in a derivative", "exponential",
         "definition of log_mixture", ((v, "a real exponent"),)),
    Rule("sigmoid-complement", 1 - sigmoid(u), sigmoid(-u),
         "recognize", "no cancellation where sigmoid is near 1", "exponential", "PyTensor, local_1msigmoid"),
    Rule("log-sigmoid", log(a * sigmoid(u)), log(a) - softplus(-u),
         "recognize", "no logarithm of an underflow", "exponentiate", "PyTensor, logsigm_to_softplus",
         _POSITIVE_FACTOR),
    Rule("softplus-intro", log(a + a * exp(u)), log(a) + softplus(u),
         "recognize", "no overflow of the exponential", "exponentiate", "definition of softplus", _POSITIVE_FACTOR),
    Rule("softplus-log1p", log1p(exp(u)), softplus(u),
         "recognize", "no overflow of the exponential", "exponentiate", "definition of softplus"),
    Rule("softplus-shift", log(a + b * exp(u)), log(a) + softplus(u + log(b / a)),
         "recognize", "no overflow of the exponential", "exponentiate", "definition of softplus", _TWO_NUMBERS),
    Rule("softplus-ratio", log((1 + exp(u)) / (1 + exp(v))), log1p(expm1(u - v) * sigmoid(v)),
         "recognize", "no overflow of either exponential", "exponentiate", "definition of softplus", _STEP),
    Rule("softplus-ratio-below", log((1 + exp(v)) / (1 + exp(u))), -log1p(expm1(u - v) * sigmoid(v)),
         "recognize", "no overflow of either exponential", "exponentiate", "definition of softplus", _STEP),
    Rule("log-sum-exp", log(exp(u) + exp(v)), v + softplus(u - v),
         "recognize", "no overflow of either exponential", "exponentiate", "Blanchard, Higham and Higham 2021"),
    Rule("log1mexp-intro", log(a - a * exp(u)), log(a) + log1mexp(-u),
         "recognize", "no cancellation under the logarithm", "exponentiate", "Maechler 2012", _POSITIVE_FACTOR),
    Rule("log-expm1", log(a * expm1(u)), u + log1mexp(u) + log(a),
         "recognize", "no overflow of the exponential", "exponentiate", "Maechler 2012",
         ((a, "positive"), (u, "positive"))),
    Rule("log-difference-exp", log(exp(u) - exp(v)), u + log1mexp(u - v),
         "recognize", "no cancellation under the logarithm", "exponentiate", "PyTensor, logdiffexp_to_log1mexpdiff"),
)

STABILIZE = (
    Rule("half-tanh", 1 - 2 * sigmoid(u), -tanh(u / 2),
         "stabilize", "no cancellation at 0", "exponential", "DLMF 4.35"),
    Rule("sigmoid-difference", sigmoid(-u) - sigmoid(u), -tanh(u / 2),
         "stabilize", "no cancellation at 0", "exponential", "DLMF 4.35"),
    Rule("sigmoid-step", sigmoid(u) - sigmoid(v), -expm1(v - u) * sigmoid(u) * sigmoid(-v),
         "stabilize", "no difference of near equals", "exponential", "definition of sigmoid", ((u - v, "positive"),)),
    Rule("sigmoid-apart", sigmoid(u) - sigmoid(v),
         tanh((u - v) / 2) * (sigmoid(u) * sigmoid(-v) + sigmoid(v) * sigmoid(-u)),
         "stabilize", "no difference of near equals, and no overflow where they are far apart", "exponential",
         "definition of sigmoid", _APART),
    Rule("logistic-density-apart", sigmoid(u) * sigmoid(-u) - sigmoid(v) * sigmoid(-v),
         -tanh((u - v) / 2) * tanh((u + v) / 2) * (sigmoid(u) * sigmoid(-v) + sigmoid(v) * sigmoid(-u))
         * (sigmoid(u) * sigmoid(v) + sigmoid(-u) * sigmoid(-v)),
         "stabilize", "no difference of near equals", "exponential", "definition of sigmoid", _APART),
    Rule("softplus-step", softplus(u) - softplus(v), log1p(expm1(u - v) * sigmoid(v)),
         "stabilize", "no difference of near equals", "exponentiate", "definition of softplus", _STEP),
    Rule("softplus-apart", softplus(u) - softplus(v),
         sign(u - v) * softplus(Abs(u - v) + log1mexp(Abs(u - v)) - softplus(-minimum(u, v))),
         "stabilize", "no difference of near equals, nor of two large numbers", "order", "definition of softplus",
         (*_APART, (u - v, "not zero"))),
    Rule("log-sum-exp-max", v + softplus(u - v), maximum(u, v) + softplus(-Abs(u - v)),
         "stabilize", "nothing cancels against the smaller one", "order", "Blanchard, Higham and Higham 2021"),
    Rule("softplus-reflect", softplus(u) - u, softplus(-u),
         "stabilize", "no cancellation for large u", "exponentiate", "definition of softplus"),
    Rule("softplus-odd", softplus(-u) - softplus(u), -u,
         "stabilize", "exact", "exponentiate", "definition of softplus"),
    Rule("logistic-entropy", softplus(u) - u * sigmoid(u), sigmoid(u) * softplus(-u) + sigmoid(-u) * softplus(u),
         "stabilize", "two terms of one sign instead of a difference", "exponential", "binary entropy of sigmoid"),
)

NARROW = (
    Rule("mixture-surprise",
         (-weighted(a, -softplus(-u)) - weighted(1 - a, -softplus(u))) * exp((v - 1) * log_mixture(u, a)),
         exp(v * log_mixture(u, a)) * mixture_surprise(u, a),
         "narrow", "no overflowing times an underflowing factor", "exponential", "definition of mixture_surprise"),
)


def softplus_quotient(node: Expr) -> Expr | None:
    """softplus(a u)/a without forming a u: only its sign and what is left of e^-|a u| matter."""
    heads = [f for f in node.args if isinstance(f, softplus)] if node.is_Mul else []
    for head, divisor in ((h, 1 / f) for h in heads for f in node.args if f.is_Pow and f.exp == -1):
        argument = head.args[0] / divisor
        if head.args[0].is_nonpositive:  # no product to overflow: what is written here, or as good
            continue
        if divisor.free_symbols and not argument.free_symbols & divisor.free_symbols:
            side = sign(divisor)
            whole = side * maximum(0, side * argument) + softplus(-Abs(head.args[0])) / divisor
            return node / head * divisor * whole
    return None


_above, _below = Symbol("a", positive=True), Symbol("a", negative=True)

UNFOLD = (
    Procedure("softplus-quotient", softplus_quotient, "unfold", "no overflow of the product at the ends of the range",
              (softplus(_above * u) / _above, softplus(_below * u) / _below), "definition of softplus", proof="sides"),
)
