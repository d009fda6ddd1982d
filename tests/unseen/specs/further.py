"""Formulas from physics, statistics and recent papers, written for float32 after the rules had settled."""

from symgen.spec import Tensor, activation, cosh, erf, exp, log, max, min, pi, sinh, sqrt, tanh


@activation()
def planck(x: Tensor > 0):
    """Planck's spectrum in the reduced frequency."""
    return x**3 / (exp(x) - 1)


@activation()
def einstein_heat(x: Tensor > 0):
    """Einstein's heat capacity of a solid."""
    return x**2 * exp(x) / (exp(x) - 1) ** 2


@activation()
def bose_entropy(x: Tensor > 0):
    """Entropy of an oscillator in the reduced frequency."""
    return x / (exp(x) - 1) - log(1 - exp(-x))


@activation()
def fermi_pressure(x):
    """Pressure of a level beside its occupation."""
    return log(1 + exp(-x)) + x / (exp(x) + 1)


@activation()
def brillouin(x: Tensor != 0):
    """Brillouin function of spin three halves."""
    return 4 / 3 * cosh(4 * x / 3) / sinh(4 * x / 3) - 1 / 3 * cosh(x / 3) / sinh(x / 3)


@activation()
def debye_scattering(x: Tensor > 0):
    """Debye's form factor of a polymer coil."""
    return 2 * (exp(-x) + x - 1) / x**2


@activation()
def lorentz_excess(x: -1 < Tensor < 1):
    """Lorentz factor less one: kinetic energy in the velocity."""
    return 1 / sqrt(1 - x**2) - 1


@activation()
def morse(x):
    """Morse's potential."""
    return (1 - exp(-x)) ** 2


@activation()
def lennard_jones(x: Tensor > 0):
    """Lennard-Jones potential."""
    return 4 * (x**-12 - x**-6)


@activation()
def box_cox(x: Tensor > 0):
    """Box-Cox transform of power 0.3."""
    return (x**0.3 - 1) / 0.3


@activation()
def yeo_johnson(x):
    """Yeo-Johnson transform of power 0.7."""
    if x >= 0:
        return ((x + 1) ** 0.7 - 1) / 0.7
    return -((1 - x) ** 1.3 - 1) / 1.3


@activation()
def logit_normal_nll(x: 0 < Tensor < 1):
    """Negative log likelihood of the logit-normal distribution, up to a constant."""
    return log(x * (1 - x)) + log(x / (1 - x)) ** 2 / 2


@activation()
def tweedie_deviance(x: Tensor > 0):
    """Tweedie deviance of power 1.5 of an observation of two, in the mean."""
    return 4 * (sqrt(x) + 2 / sqrt(x) - 2 * sqrt(2))


@activation()
def kumaraswamy_nll(x: 0 < Tensor < 1):
    """Negative log likelihood of a Kumaraswamy distribution, up to a constant."""
    return -log(x) - 2 * log(1 - x**2)


@activation()
def maxwell_nll(x: Tensor > 0):
    """Negative log likelihood of Maxwell's distribution of speeds, up to a constant."""
    return x**2 / 2 - 2 * log(x)


@activation()
def gumbel_density(x):
    """Density of Gumbel's distribution."""
    return exp(-x - exp(-x))


@activation()
def expected_improvement(x):
    """Expected improvement over the incumbent, in standard deviations."""
    return x * (1 + erf(x / sqrt(2))) / 2 + exp(-(x**2) / 2) / sqrt(2 * pi)


@activation()
def huberised_hinge(x):
    """Squared hinge that goes on as a line."""
    if x >= -1:
        return max(0, 1 - x) ** 2
    return -4 * x


@activation()
def squared_logistic_hinge(x):
    """Square of a smooth hinge."""
    return log(1 + exp(1 - x)) ** 2


@activation()
def soft_exponential(x):
    """Soft exponential of degree 0.3."""
    return (exp(0.3 * x) - 1) / 0.3 + 0.3


@activation()
def elish(x):
    """Exponential linear unit, gated."""
    if x >= 0:
        return x / (1 + exp(-x))
    return (exp(x) - 1) / (1 + exp(-x))


@activation()
def hard_elish(x):
    """The same with a hard gate."""
    gate = max(0, min(1, (x + 1) / 2))
    if x >= 0:
        return x * gate
    return (exp(x) - 1) * gate


@activation()
def piecewise_linear_unit(x):
    """Identity between two slow lines."""
    return max(0.1 * (x + 1) - 1, min(0.1 * (x - 1) + 1, x))


@activation()
def log_cosh_gap(x):
    """Input less its log-cosh."""
    return x - log(cosh(x))


@activation()
def tanh_barrier(x):
    """Log-barrier of a squashed action."""
    return -log(1 - tanh(x) ** 2)
