"""Adapters to other time series libraries.

`rekur.interop.sktime` and `rekur.interop.aeon` each hold a `RekurForecaster`, a `RekurClassifier` and a
`RekurRegressor` with the interface of that library. The libraries are no dependencies of rekur: importing an adapter
whose library is not installed raises a `rekur.core.MissingDependencyError` that says what to install.
"""

from __future__ import annotations

__all__: list[str] = []
