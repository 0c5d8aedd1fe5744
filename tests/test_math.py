"""exp, tanh and sigmoid of every instruction set: their error in units in the last place, their ends, their order.

    |y - f(x)| ≤ (bound + slope · |x|) · ulp(f(x))        ulp(v): the distance from |v| to the next larger number

`pytest -s tests/test_math.py` prints the largest errors found; docs/building.md states the bounds.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import mpmath  # comes with torch, by way of sympy
import numpy as np
import pytest

from rekur.kernels import extension

_native = pytest.importorskip("rekur._native", reason="the extension is not built")

FUNCTIONS = ("exp", "sigmoid", "tanh")
BOUND = {"exp": 1.5, "sigmoid": 3.0, "tanh": 3.0}
SLOPE = 1 / 20  # for exp and sigmoid in float32, whose argument is reduced with one rounding
# Where something begins: another power of two, saturation, a clamp, results below the smallest normal number.
BORDERS = {
    np.float32: (
        0.1732868,
        0.3465736,
        1,
        9.010913,
        10,
        16.63553,
        17.32868,
        20,
        44,
        87.33654,
        88,
        88.37626,
        88.72284,
        89,
    ),
    np.float64: (0.1732868, 0.3465736, 1, 19.06155, 20, 36.04365, 36.73680, 44, 708.3964, 709, 709.4362, 709.7827, 710),
}
INFINITE = {np.float32: 88.37, np.float64: 709.43}  # from here on exp may be infinite, one power of two early

EACH = [
    pytest.mark.parametrize("target", _native.targets()),
    pytest.mark.parametrize("dtype", BORDERS, ids=lambda dtype: dtype.__name__),
    pytest.mark.parametrize("function", FUNCTIONS),
]


def each(test: Any) -> Any:
    """Run a test for every function, dtype and instruction set."""
    for mark in EACH:
        test = mark(test)
    return test


def run(function: str, x: np.ndarray, target: str) -> np.ndarray:
    """The function of the extension on x (n,)."""
    y = np.empty_like(x)
    with extension.forced(target):
        _native.math(function, x.dtype == np.float64, x.ctypes.data, y.ctypes.data, x.size)
    return y


def neighbours(centre: float, dtype: type, count: int = 300) -> np.ndarray:
    """The numbers around one number, in ascending order."""
    steps = np.arange(-count, count + 1)
    bits = np.array(abs(centre), dtype).view(f"i{dtype().itemsize}") + steps
    return np.sort(np.copysign(bits.astype(f"i{dtype().itemsize}").view(dtype), centre))


@cache
def points(dtype: type) -> np.ndarray:
    """All exponents with random mantissas, three dense ranges, both sides of every border and of zero."""
    draw, info, signs = np.random.default_rng(0), np.finfo(dtype), (1, -1)
    exponents = np.arange(info.minexp - info.nmant, info.maxexp)
    every = np.ldexp(draw.uniform(1, 2, (32, exponents.size)).astype(dtype), exponents).ravel()
    ranges = [draw.uniform(-end, end, 40_000).astype(dtype) for end in (1, 20, BORDERS[dtype][-1] + 2)]
    borders = [neighbours(sign * border, dtype) for border in BORDERS[dtype] for sign in signs]
    tiny = np.arange(1, 300) * info.smallest_subnormal
    found = np.concatenate([every, -every, *ranges, *borders, tiny, -tiny, info.tiny + tiny, [info.max, info.min]])
    return found.astype(dtype)


@cache
def exact(function: str, dtype: type) -> np.ndarray:
    """The function at the points in the next wider type."""
    x = points(dtype).astype(np.float64 if dtype is np.float32 else np.longdouble)
    with np.errstate(over="ignore", under="ignore"):
        if function != "sigmoid":
            return getattr(np, function)(x)
        e = np.exp(-np.abs(x))
        return np.where(x > 0, 1, e) / (1 + e)


def allowed(function: str, x: np.ndarray) -> np.ndarray:
    """The bound in ulp at every x."""
    slope = SLOPE if x.dtype == np.float32 and function != "tanh" else 0.0
    return BOUND[function] + slope * np.abs(x.astype(np.float64))


def share_of_bound(function: str, x: np.ndarray, y: np.ndarray, want: np.ndarray, off: np.ndarray) -> np.ndarray:
    """|y - want| = `off` in units of what is allowed.

    Results below the smallest normal number may be anything below it, exp above INFINITE anything large.
    """
    dtype, info = y.dtype.type, np.finfo(y.dtype)
    with np.errstate(all="ignore"):
        share = off / (np.spacing(np.abs(want).astype(dtype)).astype(want.dtype) * allowed(function, x))
    if function != "tanh":
        share = np.where(np.abs(want) < info.tiny, y > info.tiny, share)
    return np.where(x > INFINITE[dtype], y < info.max / 4, share) if function == "exp" else share


@each
def test_error_in_ulp(target: str, dtype: type, function: str) -> None:
    if dtype is np.float64 and np.finfo(np.longdouble).nmant < 63:
        pytest.skip("long double is not wider than double here; mpmath checks fewer points")
    x, want = points(dtype), exact(function, dtype)
    y = run(function, x, target)
    with np.errstate(invalid="ignore"):
        off = np.abs(y - want)
    share = share_of_bound(function, x, y, want, off)
    worst = share.argmax()
    ulp = share[worst] * allowed(function, x[worst : worst + 1])[0]
    told = f"{function} {y.dtype} {target}: {ulp:.2f} ulp at x = {x[worst]!r}, {share[worst]:.0%} of the bound"
    print(told)
    assert share[worst] <= 1, told


@each
def test_error_against_arbitrary_precision(target: str, dtype: type, function: str) -> None:
    """Few points, but an independent reference; the difference is taken before anything is rounded."""
    x = points(dtype)[:: points(dtype).size // 300]
    x = x[np.abs(x) < BORDERS[dtype][-1]]
    y = run(function, x, target)
    want, off = (np.array(pair, np.float64) for pair in zip(*map(partial(precise, function), x, y), strict=True))
    share = share_of_bound(function, x, y, want, off)
    assert share.max() <= 1, f"{share.max():.0%} of the bound at x = {x[share.argmax()]!r}"


def precise(function: str, x: float, y: float) -> tuple[float, float]:
    """f(x) and |y - f(x)| by mpmath."""
    with mpmath.workprec(200):
        number = mpmath.mpf(float(x))
        want = 1 / (1 + mpmath.exp(-number)) if function == "sigmoid" else getattr(mpmath, function)(number)
        return float(want), float(abs(want - float(y))) if np.isfinite(y) else np.inf


@each
def test_ends(target: str, dtype: type, function: str) -> None:
    """NaN passes; infinities, the largest numbers and zeros give the exact ends."""
    big = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, big, -np.inf, -big, 0.0, -0.0], dtype)
    y = run(function, x, target)
    assert np.isnan(y[0])
    high, low, middle = {"exp": (np.inf, 0, 1), "sigmoid": (1, 0, 0.5), "tanh": (1, -1, 0)}[function]
    assert y[1:].tolist() == [high, high, low, low, middle, middle]


@each
def test_range(target: str, dtype: type, function: str) -> None:
    """No result leaves the range of its function, not by one bit."""
    y = run(function, points(dtype), target)
    low, high = {"exp": (0, np.inf), "sigmoid": (0, 1), "tanh": (-1, 1)}[function]
    assert ((low <= y) & (y <= high)).all()


@each
def test_order(target: str, dtype: type, function: str) -> None:
    """From one number to the next no result falls by more than 2 ulp, at the borders least of all."""
    with np.errstate(over="ignore", invalid="ignore"):
        for border in BORDERS[dtype]:
            for sign in (1, -1):
                x = neighbours(sign * border, dtype)
                y = run(function, x, target)
                fall = np.nan_to_num(y[:-1] - y[1:]) / np.spacing(np.minimum(np.abs(y[:-1]), np.finfo(dtype).max))
                assert fall.max() <= 2, f"falls by {fall.max()} ulp at x = {x[fall.argmax()]!r}"


@pytest.mark.parametrize("target", _native.targets())
@pytest.mark.parametrize("dtype", BORDERS, ids=lambda dtype: dtype.__name__)
def test_symmetry(target: str, dtype: type) -> None:
    """tanh(-x) = -tanh(x) within 4 ulp, exactly where tanh is ±1 or x; sigmoid(x) + sigmoid(-x) = 1 within eps."""
    x = points(dtype)
    y = run("tanh", x, target)
    off = np.abs(y + run("tanh", -x, target)) / np.spacing(np.abs(y))
    assert off.max() <= 4, f"off by {off.max()} ulp at x = {x[off.argmax()]!r}"
    info = np.finfo(dtype)
    near, far = np.abs(x) < info.eps / 4, np.abs(x) > BORDERS[dtype][4]
    assert (y[near] == x[near]).all()
    assert (y[far] == np.sign(x[far])).all()
    one = run("sigmoid", x, target) + run("sigmoid", -x, target)
    assert np.abs(one - 1).max() <= info.eps


@each
def test_any_length(target: str, dtype: type, function: str) -> None:
    """The rest behind the last whole vector gives the same bits, and nothing is written behind the end."""
    x = np.linspace(-3, 3, 40).astype(dtype)
    whole = run(function, x, target)
    for size in range(x.size):
        y = np.full(x.size, 7, dtype)
        with extension.forced(target):
            _native.math(function, dtype is np.float64, x.ctypes.data, y.ctypes.data, size)
        assert (y[:size] == whole[:size]).all()
        assert (y[size:] == 7).all()
