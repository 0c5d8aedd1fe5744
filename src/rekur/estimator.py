"""What every estimator shares: parameters by name, in the manner of scikit-learn, and what fitting shares."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rekur.core import OptionError


class BaseEstimator:
    """The constructor stores its arguments and nothing else; what is learned ends in an underscore."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All constructor arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Any:
        """Change constructor arguments by name."""
        known = inspect.signature(type(self)).parameters
        for name, value in params.items():
            if name not in known:
                raise OptionError(f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        changed = {n: v for n, v in self.get_params().items() if v != defaults[n].default}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def check_fitted(self, attribute: str) -> None:
        """Raise an OptionError unless `fit` has set the attribute."""
        if not hasattr(self, attribute):
            raise OptionError(f"this {type(self).__name__} is not fitted yet: call fit first")


@contextmanager
def learning(model: Any, usable: str) -> Iterator[None]:
    """Forget what the model has learned; if learning ends before `usable` is set again, remember it as it was."""
    before = dict(vars(model))
    vars(model).pop(usable, None)
    try:
        yield
    except BaseException:
        if usable not in vars(model):
            vars(model).clear()
            vars(model).update(before)
        raise


def check_seed(seed: Any) -> None:
    """Raise an OptionError unless the seed is a whole number in 0 … 2³¹ - 1."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**31:
        raise OptionError(f"seed must be a whole number in 0 … 2147483647, got {seed!r}")
