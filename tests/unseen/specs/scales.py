"""More formulas with free options: written to look for what algebra still loses; 18 of them came out at once."""


from symgen.spec import Real, Tensor, abs, activation, cos, exp, log, sin, sqrt, tanh

@activation()
def sinlu(x, a: Real = 1, b: Real = 1):
    """Sine added to a gated line."""
    return (x + a * sin(b * x)) / (1 + exp(-x))

@activation()
def box_cox_free(x: Tensor > 0, lam: Real != 0 = 0.5):
    """Power transform."""
    return (x**lam - 1) / lam

@activation()
def asinh_free(x, theta: Real > 0 = 1):
    """Inverse hyperbolic sine transform."""
    return log(theta * x + sqrt((theta * x)**2 + 1)) / theta

@activation()
def eswish(x, beta: Real > 0 = 1.5):
    """A swish with gain."""
    return beta * x / (1 + exp(-x))

@activation()
def mish_two(x, a: Real > 0 = 1, b: Real > 0 = 1):
    """Mish with two scales."""
    return a * x * tanh(log(1 + exp(b * x)))

@activation()
def soft_threshold_free(x, lam: Real > 0 = 0.5, s: Real > 0 = 10):
    """Smooth soft threshold."""
    return log(1 + exp(s * (x - lam))) / s - log(1 + exp(-s * (x + lam))) / s

@activation()
def generalised_logistic(x, nu: Real > 0 = 1):
    """Richards' curve."""
    return (1 + exp(-x))**(-1 / nu)

@activation()
def kappa_exp(x, k: Real > 0 = 0.5):
    """Kaniadakis' exponential."""
    return (sqrt(1 + k**2 * x**2) + k * x)**(1 / k)

@activation()
def tsallis_log(x: Tensor > 0, q: Real != 1 = 1.5):
    """Tsallis' logarithm."""
    return (x**(1 - q) - 1) / (1 - q)

@activation()
def gauss_mix(x, m: Real = 1, w: 0 < Real < 1 = 0.3):
    """Negative logarithm of a mixture of two normal densities."""
    return -log(w * exp(-(x - m)**2 / 2) + (1 - w) * exp(-(x + m)**2 / 2))

@activation()
def elu_exp(x, a: Real > 0 = 1):
    """A line that goes over into an exponential."""
    return x + a * (exp(-x / a) - 1) if x > 0 else a * (exp(x / a) - 1)

@activation()
def logistic_bump(x, k: Real > 0 = 2):
    """A difference of two shifted sigmoids."""
    return 1 / (1 + exp(-k * (x + 1))) - 1 / (1 + exp(-k * (x - 1)))

@activation()
def huber_log(x, c: Real > 0 = 1):
    """Cauchy's loss."""
    return c**2 / 2 * log(1 + (x / c)**2)

@activation()
def hill_free(x: Tensor > 0, n: Real > 0 = 2, k: Real > 0 = 1):
    """Hill's equation."""
    return x**n / (k**n + x**n)

@activation()
def morse_free(x, a: Real > 0 = 1):
    """Morse's potential."""
    return (1 - exp(-a * x))**2

@activation()
def yukawa(x: Tensor > 0, m: Real > 0 = 1):
    """A screened potential."""
    return exp(-m * x) / x

@activation()
def quantile_smooth(x, tau: 0 < Real < 1 = 0.3, a: Real > 0 = 0.1):
    """A smooth pinball loss."""
    return tau * x + a * log(1 + exp(-x / a))

@activation()
def tanh_shrink_free(x, b: Real > 0 = 1):
    """A line less a scaled hyperbolic tangent."""
    return x - tanh(b * x) / b

@activation()
def damped(x, z: 0 <= Real < 1 = 0.3):
    """A damped oscillation."""
    return exp(-z * abs(x)) * cos(sqrt(1 - z**2) * x)

@activation()
def van_genuchten(x: Tensor >= 0, n: Real > 1 = 2):
    """Water retention."""
    return (1 + x**n)**(-(1 - 1 / n))

@activation()
def gompertz_free(x, b: Real > 0 = 1, c: Real > 0 = 1):
    """Gompertz' curve."""
    return exp(-b * exp(-c * x))

@activation()
def laplace_sharpness(x, b: Real > 0 = 1):
    """A scaled exponential of a distance."""
    return exp(-abs(x) / b) / (2 * b)

@activation()
def softsign_power(x, p: Real > 0 = 2):
    """A saturating line of any sharpness."""
    return x / (1 + abs(x)**p)**(1 / p)

@activation()
def entropic(x: 0 < Tensor < 1, a: Real != 1 = 2):
    """Tsallis' entropy of a coin."""
    return (1 - x**a - (1 - x)**a) / (a - 1)
