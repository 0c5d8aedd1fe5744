"""Base class of all estimators: parameters, clone, tags and fitted state of scikit-learn's interface, summary."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from html import escape
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from rekur.core import CheckedArguments, NotFittedError, OptionError, nearest

Parameters: TypeAlias = "dict[str, Any]"
"""Constructor arguments by name, of the types of the constructor."""


class BaseEstimator(CheckedArguments):
    """Parameters, fitted state and display of an estimator.

    The constructor stores its arguments and nothing else; attributes learned by `fit` end in an underscore. Parameters
    that are themselves values with fields, such as `training`, are reached by `training__learning_rate`.
    """

    estimator_type: ClassVar[Literal["classifier", "regressor"] | None] = None
    fitted_attribute: ClassVar[str] = "net_"
    synonyms: ClassVar[Mapping[str, str]] = {
        "h": "horizon",
        "seed": "random_state",
        "units": "hidden_size",
        "model": "select",
        "epochs": "training",
    }
    nested_options: ClassVar[Mapping[str, type]] = {}
    """Types of the options that may be None and still be reached by `name__field`."""
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):  # the signature of the class is that of its constructor, not of `__new__`
            parameters = list(inspect.signature(cls.__init__).parameters.values())
            cls.__signature__ = inspect.Signature(parameters[1:])

    def get_params(self, deep: bool = True) -> Parameters:
        """Constructor arguments by name.

        Parameters
        ----------
        deep : bool, default True
            Also the fields of arguments that are option values, as `training__batch_size`.

        Returns
        -------
        dict of str to object
            The arguments.
        """
        parameters = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        if not deep:
            return parameters
        nested = {
            f"{name}__{each.name}": getattr(value, each.name)
            for name, value in parameters.items()
            if is_dataclass(value)
            for each in option_fields(value)
        }
        return parameters | nested

    def set_params(self, **params: object) -> Self:
        """Change constructor arguments by name.

        Parameters
        ----------
        **params : object
            New values; `training__batch_size=64` changes one field of `training`.

        Returns
        -------
        Self
            The estimator itself.

        Raises
        ------
        OptionError
            If there is no such parameter.
        """
        self.check_names(key.partition("__")[0] for key in params)
        nested: dict[str, dict[str, object]] = {}
        for key, value in params.items():
            name, _, option = key.partition("__")
            if option:
                nested.setdefault(name, {})[option] = value
            else:
                setattr(self, name, value)
        for name, changes in nested.items():
            setattr(self, name, self._changed(name, changes))
        return self

    def _changed(self, name: str, changes: dict[str, object]) -> object:
        """Option value `name` with changed fields; a new value if it is None."""
        value, kind = getattr(self, name), self.nested_options.get(name)
        if value is None and kind is not None:
            value = kind()
        if not is_dataclass(value) or isinstance(value, type):
            raise OptionError(
                f"{name}={value!r} has no fields: set {name} itself, or give it a value with fields first"
            )
        known = [each.name for each in option_fields(value)]
        unknown = set(changes) - set(known)
        if unknown:
            field = min(unknown)
            raise OptionError(f"{name} has no field {field!r}; it has {', '.join(known)}{nearest(field, known)}")
        return value.replace(**changes) if hasattr(value, "replace") else replace(value, **changes)

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        changed = {n: v for n, v in self.get_params(deep=False).items() if v is not defaults[n].default}
        changed = {
            n: v for n, v in changed.items() if type(v) is not type(defaults[n].default) or v != defaults[n].default
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def _summary(self) -> list[tuple[str, str]]:
        """Lines (label, text) on a fitted estimator: task, data seen, scores of the model and the baseline."""
        return []

    def _repr_html_(self) -> str:
        """The estimator as a notebook shows it: its constructor and, once fitted, its summary."""
        rows = self._summary() if self.__sklearn_is_fitted__() else [("state", "not fitted")]
        cells = "".join(
            f'<tr><th scope="row" style="text-align:left">{escape(label)}</th>'
            f'<td style="text-align:left">{escape(text)}</td></tr>'
            for label, text in rows
        )
        return f"<div><code>{escape(repr(self))}</code><table>{cells}</table></div>"

    def check_fitted(self, attribute: str | None = None) -> None:
        """Raise a NotFittedError unless `fit` has set the attribute, `fitted_attribute` by default."""
        if not hasattr(self, attribute or self.fitted_attribute):
            raise not_fitted(f"this {type(self).__name__} is not fitted yet: call fit first")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, self.fitted_attribute)

    def __sklearn_tags__(self) -> Any:
        """Tags of the estimator, for scikit-learn 1.6 or newer."""
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type=self.estimator_type,
            target_tags=TargetTags(required=True, multi_output=self.estimator_type == "regressor"),
            classifier_tags=ClassifierTags() if self.estimator_type == "classifier" else None,
            regressor_tags=RegressorTags() if self.estimator_type == "regressor" else None,
            input_tags=InputTags(two_d_array=True, three_d_array=True),
        )


def option_fields(value: Any) -> list[Any]:
    """Fields of an option value that a user sets."""
    return [each for each in fields(value) if each.name != "explicit"]


def not_fitted(message: str) -> NotFittedError:
    """A NotFittedError that is also scikit-learn's where scikit-learn is loaded."""
    exceptions = sys.modules.get("sklearn.exceptions")
    if exceptions is None:
        return NotFittedError(message)

    class Error(NotFittedError, exceptions.NotFittedError):  # type: ignore[misc, name-defined]
        """NotFittedError of rekur and of scikit-learn."""

        def __reduce__(self) -> tuple[type[NotFittedError], tuple[object, ...]]:
            return NotFittedError, self.args

    Error.__name__ = Error.__qualname__ = "NotFittedError"
    return Error(message)


@contextmanager
def learning(model: BaseEstimator, usable: str) -> Iterator[None]:
    """Clear the fitted state of the model; if fitting fails or is interrupted, restore the state before."""
    before = dict(vars(model))
    vars(model).pop(usable, None)
    try:
        yield
    except BaseException:
        vars(model).clear()
        vars(model).update(before)
        raise


def check_seed(seed: object) -> None:
    """Raise an OptionError unless the seed is a whole number in 0 … 2³¹ - 1."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**31:
        raise OptionError(f"random_state must be a whole number in 0 … 2147483647, got {seed!r}")
