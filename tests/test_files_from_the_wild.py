"""Files as people have them: each is read rightly, or refused in one line that names the file and the cure."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur.cli import main
from rekur.core import DataError, OptionError
from rekur.data import read_file, read_panels

DAYS = [f"2025-06-{day}" for day in range(12, 18)]  # from the 13th on it is clear which number is the day
VALUES = [2.84, 3.0, 2.5, 1234.5, 0.75, 12.25]
BIG = [1234.0, 987.0, 12345.0, 1234567.0, 55.0, 4321.0]
HOURS = [f"2025-06-12T{hour:02}" for hour in range(6)]


def point(value: float) -> str:
    """2.84"""
    return f"{value:.2f}"


def comma(value: float) -> str:
    """2,84"""
    return f"{value:.2f}".replace(".", ",")


def grouped(value: float, thousands: str, decimal: str = "", places: int = 2) -> str:
    """1.234,50 with "." and ",", 1,234 with "," alone"""
    text = f"{value:,.{places if decimal else 0}f}"
    return text.replace(",", "T").replace(".", decimal).replace("T", thousands)


def dotted(day: str) -> str:
    """12.06.2025"""
    return ".".join(reversed(day.split("-")))


def lines(*rows: str, end: str = "\n") -> str:
    """Lines of a text file."""
    return end.join(rows) + end


def plain(
    number: Callable[[float], str] = point,
    date: Callable[[str], str] = str,
    separator: str = ";",
    values: Sequence[float] = VALUES,
) -> list[str]:
    """Rows of a time and a value."""
    return [f"{date(day)}{separator}{number(value)}" for day, value in zip(DAYS, values, strict=True)]


def quoted(number: Callable[[float], str]) -> Callable[[float], str]:
    """A number in quotes."""
    return lambda value: f'"{number(value)}"'


def european(value: float) -> str:
    """1.234,50"""
    return grouped(value, ".", ",")


def american(value: float) -> str:
    """1,234.50"""
    return grouped(value, ",", ".")


def column(times: Sequence[object], values: Sequence[float] = VALUES, header: str = "ds,y") -> str:
    """A CSV file of a time and a value."""
    return lines(header, *(f"{time},{point(value)}" for time, value in zip(times, values, strict=True)))


def excel(**sheets: Sequence[Sequence[object]]) -> bytes:
    """An Excel file of rows of cells."""
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def cells(header: Sequence[object] = ("Date", "Price")) -> list[list[object]]:
    """Rows of a sheet."""
    return [[*header], *([pd.Timestamp(day).to_pydatetime(), value] for day, value in zip(DAYS, VALUES, strict=True))]


def feather() -> bytes:
    """A Feather file."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    buffer = io.BytesIO()
    pd.DataFrame({"ds": pd.to_datetime(DAYS), "y": VALUES}).to_feather(buffer)
    return buffer.getvalue()


def parquet() -> bytes:
    """A Parquet file whose numbers are text with decimal commas."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    buffer = io.BytesIO()
    pd.DataFrame({"ds": pd.to_datetime(DAYS), "y": [comma(value) for value in VALUES]}).to_parquet(buffer)
    return buffer.getvalue()


def archive(**members: bytes | str) -> bytes:
    """A zip file with members by name, _ for the point."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


def encrypted() -> bytes:
    """A zip file whose member is marked as encrypted."""
    data = bytearray(archive(a_csv=column(DAYS)))
    for place in (6, data.index(b"PK\x01\x02") + 8):  # flags of the member, and of its entry in the directory
        data[place] |= 1
    return bytes(data)


def panel_rows(header: str, key: Callable[[int], str]) -> str:
    """Rows of two series, one after another."""
    rows = [f"{key(s)},{day},{point(value + s)}" for s in range(2) for day, value in zip(DAYS, VALUES, strict=True)]
    return lines(header, *rows)


@dataclass(frozen=True)
class Right:
    """A file that is read: its content, how it is read, and what it holds."""

    data: str | bytes | Callable[[], bytes | Mapping[str, str | bytes]] | Mapping[str, str | bytes]
    name: str = "in.csv"
    times: Sequence[str] = tuple(DAYS)
    values: Sequence[float] = tuple(VALUES)
    ids: Sequence[object] = (None,)
    notes: Sequence[str] = ()
    reading: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A file that is refused: its content, how it is read, and a part of the message."""

    data: str | bytes | Callable[[], bytes | Mapping[str, str | bytes]] | Mapping[str, str | bytes]
    message: str
    name: str = "in.csv"
    reading: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, object] = field(default_factory=dict)


WEEKS = [f"2025-{month}" for month in ("01-06", "01-13", "01-20", "01-27", "02-03", "02-10")]
MONTHS = [f"2025-{month:02}-01" for month in range(1, 7)]
UNIX = [1749686400 + 3600 * k for k in range(6)]  # hours from 2025-06-12
TWO = tuple(VALUES) + tuple(value + 1 for value in VALUES)
SUMMER = ["2025-03-29", "2025-03-30", "2025-03-31", "2025-04-01", "2025-04-02", "2025-04-03"]
OFFSETS = [f"{day}T00:00:00{'+01:00' if day < '2025-03-31' else '+02:00'}" for day in SUMMER]

RIGHT: dict[str, Right] = {
    # separators
    "comma": Right(column(DAYS)),
    "semicolon": Right(lines("ds;y", *plain())),
    "tab": Right(lines("ds\ty", *plain(separator="\t")), name="in.tsv"),
    "pipe": Right(lines("Date|Price", *plain(separator="|"))),
    "blanks around": Right(lines("ds ; y", *plain(separator=" ; "))),
    "line that names the separator": Right(lines("sep=;", "Datum;Preis", *plain(comma, dotted))),
    "carriage returns": Right(lines("ds,y", *plain(separator=","), end="\r\n")),
    "quoted everything": Right(lines('"ds","y"', *(f'"{row}"' for row in plain(separator='","')))),
    "separator at the end": Right(lines("ds;y;", *(f"{row};" for row in plain()))),
    # numbers
    "decimal comma": Right(lines("Datum;Preis", *plain(comma, dotted)), notes=["decimal comma in 'Preis'"]),
    "decimal comma in quotes": Right(lines("ds,y", *plain(quoted(comma), separator=","))),
    "comma and points of thousands": Right(
        lines("Datum;Umsatz", *plain(european, dotted)),
        notes=["decimal comma in 'Umsatz'", "thousands separator '.' in 'Umsatz'"],
    ),
    "point and commas of thousands": Right(
        lines("ds,y", *plain(quoted(american), separator=",")), notes=["thousands separator ',' in 'y'"]
    ),
    "commas of thousands alone": Right(
        lines("ds,y", *plain(quoted(lambda x: grouped(x, ",")), separator=",", values=BIG)), values=BIG
    ),
    "points of thousands alone": Right(lines("ds;y", *plain(lambda x: grouped(x, "."), values=BIG)), values=BIG),
    "spaces of thousands": Right(
        lines("date;valeur", *plain(lambda x: grouped(x, "\u202f", ","))), notes=["thousands separator space"]
    ),
    "apostrophes of thousands": Right(lines("ds;y", *plain(lambda x: grouped(x, "'", ".")))),
    "Indian groups": Right(
        lines("ds;y", *plain(lambda x: "12,34,567.50" if x == 1234.5 else point(x))),
        values=[2.84, 3.0, 2.5, 1234567.5, 0.75, 12.25],
    ),
    "points of thousands beside decimal commas": Right(
        lines(
            "ds;sold;price",
            *(f"{d};{grouped(1000.0 + k, '.')};{comma(v)}" for k, (d, v) in enumerate(zip(DAYS, VALUES, strict=True))),
        ),
        values=[1000.0 + k for k in range(6)],
        columns={"target_col": "sold"},
        notes=["not used: 'price'", "decimal comma in 'price'"],
    ),
    "commas of thousands beside decimal points": Right(
        lines(
            "ds,sold,price",
            *(f'{d},"{1000 + k:,}",{point(v)}' for k, (d, v) in enumerate(zip(DAYS, VALUES, strict=True))),
        ),
        values=[1000.0 + k for k in range(6)],
        columns={"target_col": "sold"},
    ),
    "thousands by the user's mark": Right(
        lines("ds,y", *(f'{day},"{1000 + k:,}"' for k, day in enumerate(DAYS))),
        values=[1000.0 + k for k in range(6)],
        reading={"decimal": "."},
    ),
    "decimals by the user's mark": Right(
        lines("ds,y", *(f'{day},"1,{234 + k}"' for k, day in enumerate(DAYS))),
        values=[round(1.234 + k / 1000, 3) for k in range(6)],
        reading={"decimal": ","},
    ),
    "decimals by the user's separator": Right(
        lines("ds;y", *(f"{day};1.{234 + k}" for k, day in enumerate(DAYS))),
        values=[1234.0 + k for k in range(6)],
        reading={"thousands": "."},
    ),
    "currency": Right(lines("ds,y", *plain(lambda x: f"${x:.2f}", separator=",")), notes=["sign '$' removed in 'y'"]),
    "currency behind": Right(lines("Datum;Preis", *plain(lambda x: f"{european(x)} €", dotted))),
    "percent": Right(lines("ds,y", *plain(lambda x: f"{x:.2f}%", separator=",")), notes=["values are in percent"]),
    "negative in brackets": Right(
        lines("ds,y", *plain(lambda x: f'"(${x:,.2f})"', separator=",")), values=[-value for value in VALUES]
    ),
    "minus sign of Unicode": Right(
        lines("ds;y", *plain(lambda x: f"\u2212{comma(x)}")), values=[-value for value in VALUES]
    ),
    "missing in several ways": Right(
        lines("ds,y", *(f"{d},{v}" for d, v in zip(DAYS, ["1.5", "-", "n/a", "", "?", "2.5"], strict=True))),
        values=[1.5, np.nan, np.nan, np.nan, np.nan, 2.5],
    ),
    "spreadsheet errors": Right(
        lines("ds,y", *(f"{d},{v}" for d, v in zip(DAYS, ["1.5", "#N/A", "#DIV/0!", "1", "1", "2.5"], strict=True))),
        values=[1.5, np.nan, np.nan, 1, 1, 2.5],
    ),
    # encodings and packing
    "mark of UTF-8": Right(b"\xef\xbb\xbf" + column(DAYS).encode()),
    "Windows-1252": Right(lines("Tag;Größe", *plain(comma)).encode("cp1252"), notes=["Windows-1252 (cp1252)"]),
    "UTF-16 little": Right(b"\xff\xfe" + column(DAYS).encode("utf-16-le"), notes=["UTF-16"]),
    "UTF-16 big": Right(b"\xfe\xff" + lines("ds\ty", *plain(separator="\t")).encode("utf-16-be")),
    "gzip": Right(gzip.compress(column(DAYS).encode()), name="in.csv.gz"),
    "zip": Right(lambda: archive(a_csv=column(DAYS)), name="in.zip"),
    "zip of JSON lines and a licence": Right(
        lambda: archive(
            a_jsonl="".join(json.dumps({"ds": d, "y": v}) + "\n" for d, v in zip(DAYS, VALUES, strict=True)),
            licence_txt="free",
        ),
        notes=["table 'a.jsonl'"],
        name="in.csv.zip",
    ),
    "zip of Excel": Right(lambda: archive(a_xlsx=excel(A=cells())), name="in.zip"),
    "xz": Right(lzma.compress(column(DAYS).encode()), name="in.csv.xz"),
    # title, totals, blanks
    "title": Right(
        lines("Sales report 2025", "Region: North, all shops", "", "day,sales", *plain(separator=",")),
        notes=["2 lines before the header, 'Sales report 2025'"],
    ),
    "title with separators": Right(
        lines("Verkäufe;;", "Stand:;12.06.2025;", "Datum;Preis;Menge", *(f"{row};1" for row in plain(comma, dotted))),
        columns={"target_col": "Preis"},
        notes=["2 lines before the header"],
    ),
    "total": Right(
        lines("day,sales", *plain(separator=","), "Total,1255.84"), notes=["not read: the last row, 'Total'"]
    ),
    "total of a long table": Right(
        lines("shop,day,sales", *(f"a,{row}" for row in plain(separator=",")), "Grand total,,1255.84"),
        ids=["a"],
        columns={"id_col": "shop"},
        notes=["'Grand total'"],
    ),
    "a series named Total": Right(
        panel_rows("shop,day,sales", lambda s: ("a", "Total")[s]),
        values=TWO,
        ids=["a", "Total"],
        columns={"id_col": "shop"},
    ),
    "blank rows at the end": Right(lines("day;sales", *plain(), ";", ";")),
    "index written along": Right(lines(",ds,y", *(f"{k},{row}" for k, row in enumerate(plain(separator=","))))),
    # times
    "ISO weeks": Right(
        column(["2025-W02", "2025-W03", "2025-W04", "2025-W05", "2025-W06", "2025-W07"]),
        times=WEEKS,
        notes=["ISO weeks such as 2025-W02 were read as their Mondays"],
    ),
    "months by name": Right(
        column([f"{name} 2025" for name in ("Jan", "Feb", "Mar", "Apr", "May", "Jun")]), times=MONTHS
    ),
    "months of spreadsheets": Right(
        column([f"{name}-25" for name in ("Jan", "Feb", "Mar", "Apr", "May", "Jun")]),
        times=MONTHS,
        notes=["'Jan-25' were read as %b-%y"],
    ),
    "months of statistics": Right(column([f"2025M{month:02}" for month in range(1, 7)]), times=MONTHS),
    "months with points": Right(column([f"{month:02}/2025" for month in range(1, 7)]), times=MONTHS),
    "firsts of months with points": Right(
        column([f"01.{month:02}.2025" for month in range(1, 7)]),
        times=MONTHS,
        notes=["read as day.month.year"],
    ),
    "quarters": Right(
        column(["Q1 2024", "Q2 2024", "Q3 2024", "Q4 2024", "Q1 2025", "Q2 2025"]),
        times=["2024-01-01", "2024-04-01", "2024-07-01", "2024-10-01", "2025-01-01", "2025-04-01"],
    ),
    "Unix seconds": Right(column(UNIX), times=HOURS, notes=["1749686400 were read as Unix times in seconds"]),
    "Unix milliseconds": Right(column([1000 * t for t in UNIX]), times=HOURS, notes=["in milliseconds"]),
    "Unix seconds as steps of the user": Right(
        column(UNIX), times=[str(t) for t in UNIX], columns={"freq": 3600}, notes=["frequency 3600"]
    ),
    "hours as numbers": Right(
        column([2025061200 + hour for hour in range(6)]), times=HOURS, notes=["2025061200 were read as hours"]
    ),
    "offsets across a clock change": Right(
        column(OFFSETS),
        times=["2025-03-28T23", "2025-03-29T23", "2025-03-30T22", "2025-03-31T22", "2025-04-01T22", "2025-04-02T22"],
        notes=["read by the clock of Europe/Berlin"],
    ),
    "twelve hours": Right(
        column([f"06/{13 + k}/2025 11:30 PM" for k in range(6)]), times=[f"2025-06-{13 + k}T23:30" for k in range(6)]
    ),
    "date and time of day in two columns": Right(
        lines("Date;Time;kW", *(f"16/12/2006;17:{24 + k}:00;{point(value)}" for k, value in enumerate(VALUES))),
        times=[f"2006-12-16T17:{24 + k}" for k in range(6)],
        notes=["columns 'Date' and 'Time' were joined"],
    ),
    "years of two digits in front": Right(
        column([day.removeprefix("20") for day in DAYS]), notes=["dates were read as year-month-day"]
    ),
    "years of two digits behind": Right(
        column([f"{day[-2:]}/06/25" for day in DAYS]), notes=["dates were read as day/month/year"]
    ),
    "days of a spreadsheet": Right(
        lines("Datum;Preis;Menge", *(f"{45820 + k};{comma(value)};1" for k, value in enumerate(VALUES))),
        columns={"target_col": "Preis"},
        notes=["numbers such as 45820 were read as days of a spreadsheet, 2025-06-12"],
    ),
    "hours of a spreadsheet": Right(
        column([f"{45820 + hour / 24:.5f}" for hour in range(6)], header="date,y"), times=HOURS
    ),
    "a count that is no date": Right(column(range(45820, 45826)), times=[str(45820 + k) for k in range(6)]),
    "German months": Right(
        column([f"{name} 2025" for name in ("Jan", "Feb", "Mär", "Apr", "Mai", "Jun")]), times=MONTHS
    ),
    "German months in full": Right(
        lines(
            "Monat;Umsatz;Preis",
            *(
                f"{name} 2025;{comma(value)};1"
                for name, value in zip(("Januar", "Februar", "März", "April", "Mai", "Juni"), VALUES, strict=True)
            ),
        ),
        times=MONTHS,
        columns={"target_col": "Umsatz"},
    ),
    "German days": Right(column([f"{day[-2:]}. Juni 2025" for day in DAYS])),
    "days of months with points": Right(
        column([f"{k}. Mär. 2025" for k in range(1, 7)]), times=[f"2025-03-0{k}" for k in range(1, 7)]
    ),
    "calendar weeks": Right(
        column([f"KW {k}/2025" for k in range(2, 8)]), times=WEEKS, notes=["read as their Mondays"]
    ),
    "calendar weeks behind the year": Right(column([f"2025-KW{k:02}" for k in range(2, 8)]), times=WEEKS),
    # keys
    "two keys": Right(
        panel_rows("store,dept,ds,y", lambda s: f"north,{s + 1}"),
        values=TWO,
        ids=["north/1", "north/2"],
        columns={"id_col": ["store", "dept"]},
    ),
    "keys with leading zeros": Right(
        panel_rows("shop,ds,y", lambda s: f"00{s + 7}"), values=TWO, ids=["007", "008"], columns={"id_col": "shop"}
    ),
    "wide with covariates": Right(
        lines("ds,load1,load2,temp", *(f"{d},{v},{v + 1},20" for d, v in zip(DAYS, VALUES, strict=True))),
        values=TWO,
        ids=["load1", "load2"],
        columns={"target_col": ["load1", "load2"], "past": ["temp"]},
    ),
    # other formats
    "JSON array": Right(
        json.dumps([{"Date": d, "Price": v} for d, v in zip(DAYS, VALUES, strict=True)], indent=2), name="in.json"
    ),
    "JSON lines named JSON": Right(
        lines(*(json.dumps({"Date": d, "Price": v}) for d, v in zip(DAYS, VALUES, strict=True))), name="in.json"
    ),
    "JSON with decimal commas": Right(
        json.dumps([{"Date": d, "Price": comma(v)} for d, v in zip(DAYS, VALUES, strict=True)]), name="in.json"
    ),
    "Parquet with decimal commas": Right(parquet, name="in.parquet", notes=["decimal comma in 'y'"]),
    "Feather": Right(feather, name="in.feather"),
    "Excel": Right(lambda: excel(Data=cells()), name="in.xlsx"),
    "Excel with a title and a total": Right(
        lambda: excel(Data=[["Prices of 2025"], [], *cells(), ["Total", 1255.84]]),
        name="in.xlsx",
        notes=["'Prices of 2025'", "'Total'"],
    ),
    "Excel sheet by name": Right(
        lambda: excel(Notes=[["read me"]], Data=cells()),
        name="in.xlsx",
        reading={"sheet": "Data"},
        notes=["sheet 'Data'"],
    ),
    # several files
    "folder": Right(
        {
            "all/1.csv": lines("ds;y", *plain()[:3]),
            "all/2.csv": lines("y;ds", *(";".join(reversed(row.split(";"))) for row in plain()[3:])),
            "all/readme.txt": "about",
        },
        name="all",
        notes=["2 files read as one table: '1.csv', '2.csv'"],
    ),
    "folder with a zip archive": Right(
        lambda: {
            "all/1.csv": lines("ds;y", *plain()[:3]),
            "all/2.csv.zip": archive(b_csv=lines("ds;y", *plain()[3:]), about_txt="about"),
        },
        name="all",
        notes=["2 files read as one table: '1.csv', '2.csv.zip'", "table 'b.csv'"],
    ),
    "pattern": Right(
        {"a1.csv": lines("ds;y", *plain()[:3]), "a2.csv": lines("ds;y", *plain()[3:]), "b.csv": "x"}, name="a*.csv"
    ),
}

RIGHT["files of a series each"] = Right(
    {f"shops/{name}.csv": lines("ds;y", *plain(values=[value + k for value in VALUES])) for k, name in enumerate("ab")},
    name="shops",
    values=TWO,
    ids=["a", "b"],
    notes=["each file was taken as a series, named 'unique_id' by its file"],
)

REFUSED: dict[str, Refused] = {
    "months as columns": Refused(
        lines("product,Jan 2023,Feb 2023,Mar 2023", "a,1,2,3", "b,2,3,4"),
        r"has a column for each time \('Jan 2023', 'Feb 2023', 'Mar 2023'\), but a row .* transpose the sheet, or use",
    ),
    "German months as columns": Refused(
        lines("Jahr;Jan;Feb;Mär;Apr;Mai;Jun", "2023;1;2;3;4;5;6", "2024;1;2;3;4;5;6"), "has a column for each time"
    ),
    "dates as columns": Refused(
        lines("product,2023-01,2023-02,2023-03", "a,1,2,3", "b,2,3,4"), "has a column for each time"
    ),
    "years as columns": Refused(lines("country,2019,2020,2021", "a,1,2,3", "b,2,3,4"), "has a column for each time"),
    "two rows of names": Refused(
        lines("date,North,North,South", ",a,b,c", *(f"{day},1,2,3" for day in DAYS)),
        "two columns named 'North'; rename",
    ),
    "names below the header": Refused(
        lines("date,North,South", "day,sales,sales", *(f"{day},1,2" for day in DAYS)),
        "column 'North', row 2: 'sales' is not a number, but all others are; if the header has two rows, keep one",
    ),
    "commas in doubt": Refused(
        lines("ds,y", *(f'{day},"1,{234 + k}"' for k, day in enumerate(DAYS))),
        r"column 'y': '1,234' can be read as 1\.234 or 1234: say decimal=',' or decimal='\.'",
    ),
    "points in doubt": Refused(
        lines("ds;y", *(f"{day};1.{234 + k}" for k, day in enumerate(DAYS))),
        r"column 'y': '1\.234' can be read as 1\.234 or 1234: say decimal='\.' or decimal=','",
    ),
    "two decimal marks in a column": Refused(
        lines("ds;y", *(f"{d};{v}" for d, v in zip(DAYS, ["2,84", "3.25", "1,5", "1,5", "2", "3"], strict=True))),
        "column 'y', row 2: '2,84' is not a number",
    ),
    "two currencies": Refused(
        lines("ds,y", *(f"{d},{'$€'[k % 2]}2.50" for k, d in enumerate(DAYS))), "column 'y', row 2: '\\$2.50' is not"
    ),
    "a sign in some rows": Refused(
        lines("ds,y", *(f"{d},2.5{'%' * (k == 3)}" for k, d in enumerate(DAYS))), "column 'y', row 5: '2.5%' is not"
    ),
    "units below the header": Refused(lines("day;load", "UTC;kWh", *plain(comma)), "'day', row 2: 'UTC' is not a time"),
    "decimal commas between commas": Refused(
        lines("Datum,Preis", *plain(comma, separator=",")),
        r"more values than the header has names \(2\).*decimal comma",
    ),
    "no header": Refused(lines(*plain(comma, dotted)), r"begins with data \('12\.06\.2025'\).*line 1"),
    "two columns of one name": Refused(lines("ds;y;y", "2025-06-12;1;2"), "two columns named 'y'; rename"),
    "total in between": Refused(
        lines("day,sales", *plain(separator=",")[:3], "Subtotal,8.34", *plain(separator=",")[3:]),
        "'day', row 5: 'Subtotal' is not a time",
    ),
    "day or month": Refused(column([f"0{k}/06/2025" for k in range(1, 7)]), "day/month or month/day; write them as"),
    "year in front or behind": Refused(
        column([f"24-0{k}-01" for k in range(1, 7)]), "'24-01-01' may begin or end with the year; write it with four"
    ),
    "zone in some times": Refused(
        column(["2025-06-12T00:00Z", *(f"2025-06-{k}T00:00" for k in range(13, 18))]), "some times have a time zone"
    ),
    "no year": Refused(column([f"{k}-Jun" for k in range(12, 18)]), "'ds', row 2: '12-Jun' is not a time"),
    "two rows at one time": Refused(column([DAYS[0], *DAYS[:5]]), "occurs twice, in row 2 and row 3"),
    "a title moves the rows": Refused(
        lines("Sales report", "day,sales", *plain(separator=",")[:3], "2025-06-15,closed", *plain(separator=",")[4:]),
        r"header in line 2, which is row 1\), column 'sales', row 5: 'closed'",
    ),
    "damaged UTF-8": Refused(lines("Tag;Größe;Öl", "1;2;3").encode()[:-5] + b"\xff\n", "not UTF-8 text"),
    "neither UTF-8 nor Windows": Refused(b"ds;y\n2025-06-12;\x81\n", "neither UTF-8 nor Windows-1252"),
    "picture": Refused(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not a text file"),
    "old Excel": Refused(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, r"\.xls\).*save it as \.xlsx", name="in.xls"
    ),
    "row of a sheet": Refused(
        lambda: excel(Data=[["Prices"], [], *cells(), ["closed", 3.0], [DAYS[0], 1.0]]),
        "row 10: 'closed' is not a time",
        name="in.xlsx",
    ),
    "other sheets": Refused(lambda: archive(mimetype="ods"), r"another format than \.xlsx", name="in.ods"),
    "zip archive of two tables": Refused(
        lambda: archive(a_csv=column(DAYS), b_csv=column(DAYS), c_txt="c"),
        r"in\.zip is a zip archive of 2 tables, 'a\.csv', 'b\.csv'; unpack it and name the file to read",
        name="in.zip",
    ),
    "zip archive of recordings": Refused(
        lambda: archive(a_wav="RIFF", a_txt="one"),
        r"zip archive without a table, 'a\.wav', 'a\.txt'; unpack it",
        name="in.zip",
    ),
    "zip archive of an empty table": Refused(
        lambda: archive(a_csv="ds,y\n"), r"a\.csv of .*in\.zip has a header but no rows", name="in.zip"
    ),
    "encrypted": Refused(encrypted, r"a\.csv of .*in\.zip cannot be unpacked: .*encrypted", name="in.zip"),
    "two sheets": Refused(
        lambda: excel(A=cells(), B=cells()), "has 2 sheets, 'A', 'B': name one of them with sheet=", name="in.xlsx"
    ),
    "no such sheet": Refused(
        lambda: excel(Data=cells()), "no sheet 'Dat'; its sheets are 'Data'", name="in.xlsx", reading={"sheet": "Dat"}
    ),
    "sheet of a CSV": Refused(column(DAYS), "no Excel file; leave it out", reading={"sheet": "A"}),
    "JSON of columns": Refused(
        json.dumps({"ds": {"0": 1}, "y": {"0": 2}}), "not a JSON array of objects", name="a.json"
    ),
    "damaged JSON": Refused('[{"ds": 1, "y": 2}', "a.json is not JSON", name="a.json"),
    "different columns": Refused(
        {"all/1.csv": "ds,y\n2025-06-12,1\n", "all/2.csv": "ds,x\n2025-06-13,1\n"},
        r"2\.csv lacks 'y' and has 'x' besides in comparison with .*1\.csv",
        name="all",
    ),
    "empty folder": Refused({"all/readme.txt": "about"}, "the folder .*all holds no table", name="all"),
    "folder with a zip archive of two tables": Refused(
        lambda: {"all/1.csv": column(DAYS), "all/2.zip": archive(a_csv="ds,y", b_csv="ds,y")},
        r"2\.zip is a zip archive of 2 tables, 'a\.csv', 'b\.csv'; unpack it",
        name="all",
    ),
    "no match": Refused({"b.csv": "x"}, r"no file matches .*a\*\.csv", name="a*.csv"),
    "key missing": Refused(
        lines("store,dept,ds,y", "a,1,2025-06-12,1", "a,,2025-06-13,2"),
        "column 'dept', row 3: the name of the series is missing",
        columns={"id_col": ["store", "dept"]},
    ),
}


def put(case: Right | Refused, folder: Path) -> str:
    """Write the files of a case and return the path that is read."""
    data = case.data() if callable(case.data) else case.data
    for name, content in (data if isinstance(data, Mapping) else {case.name: data}).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(folder / case.name)


@pytest.mark.parametrize("name", RIGHT)
def test_read_rightly(tmp_path: Path, name: str) -> None:
    """Times, values and labels are those of the file, and the notes say what had to be recognised."""
    case = RIGHT[name]
    frame = read_file(put(case, tmp_path), **case.reading)
    [panel] = read_panels(frame, source=case.name, **case.columns)
    assert panel.ids.tolist() == list(case.ids)
    np.testing.assert_allclose(panel.y, np.array(case.values), rtol=1e-12)
    times = panel.at(np.zeros(1, int), np.arange(panel.lengths[0]))
    expected = np.array([np.datetime64(t, "us") if "-" in t else int(t) for t in case.times])
    assert times.tolist() == expected.tolist()
    for note in case.notes:
        assert any(note in text for text in panel.notes), panel.notes


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(tmp_path: Path, name: str) -> None:
    """The error is one line that names the file and the cure."""
    case = REFUSED[name]
    path = put(case, tmp_path)
    with pytest.raises((DataError, OptionError), match=case.message) as caught:
        read_panels(read_file(path, **case.reading), source=case.name, **case.columns)
    assert "\n" not in str(caught.value)
    assert Path(case.name).name.removesuffix(".csv") in str(caught.value)


def test_a_total_leaves_whole_numbers_whole(tmp_path: Path) -> None:
    """Keys that are whole numbers stay so below an empty cell of the row of totals."""
    (tmp_path / "in.csv").write_text(lines("day;shop;sold", "2025-06-12;1;2,5", "2025-06-13;1;3,5", "Total;;6"))
    frame = read_file(tmp_path / "in.csv")
    assert frame["shop"].tolist() == [1, 1]
    assert frame["shop"].dtype.kind == "i"


def test_there_are_many_cases() -> None:
    assert len(RIGHT) + len(REFUSED) >= 60


@pytest.mark.parametrize("address", ["https://example.org/sales.csv", "s3://bucket/sales.csv"])
def test_addresses_are_refused(address: str) -> None:
    with pytest.raises(DataError, match="is an address, not a file: download it first"):
        read_file(address)


def test_excel_without_openpyxl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The missing extra is named."""
    (tmp_path / "in.xlsx").write_bytes(archive(**{"xl/workbook.xml": ""}))
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(DataError, match=r"in\.xlsx: Excel files need openpyxl: pip install openpyxl"):
        read_file(tmp_path / "in.xlsx")


def test_another_mark_after_many_rows(tmp_path: Path) -> None:
    """Numbers are looked at in all rows: 1,234 of the first thousand rows is decided by 2,5 in the last one."""
    days = pd.date_range("2020-01-01", periods=1500).strftime("%Y-%m-%d")
    path = tmp_path / "in.csv"
    path.write_text(lines("ds;y;z", *(f"{day};1.234;2" for day in days[:-1]), f"{days[-1]};1.234;2,5"))
    frame = read_file(path)
    assert frame["y"].tolist() == [1234.0] * 1500
    assert frame["z"].tolist() == [2.0] * 1499 + [2.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decimal": ";"}, "decimal must be"),
        ({"thousands": "x"}, "thousands must be"),
        ({"decimal": ",", "thousands": ","}, "must differ"),
    ],
)
def test_separators_are_checked(options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        read_file("in.csv", **options)


def test_text_tables_are_left_alone(tmp_path: Path) -> None:
    """Texts, labels and keys that look a little like numbers or totals stay as they are."""
    path = tmp_path / "in.csv"
    path.write_text('text,label\n"1, 2",a\nTotal,b\nhello; you,a\nSum,b\n')
    frame = read_file(path)
    assert frame["text"].tolist() == ["1, 2", "Total", "hello; you", "Sum"]
    path.write_text("text\nhello, world\ngood, bye\n")
    with pytest.raises(DataError, match="more values than the header has names"):
        read_file(path)


LONG = pd.date_range("2025-01-13", periods=30).strftime("%Y-%m-%d").tolist()
AFTER = pd.date_range("2025-02-12", periods=3).strftime("%Y-%m-%d").tolist()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run `rekur` in an empty folder, and return what it prints: notes and results, or the error."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        out, err = capsys.readouterr()
        assert (ended.value.code in (0, None)) == (not err.startswith("rekur: ")), err
        return out if ended.value.code in (0, None) else err

    return run


QUICK = ("-H", "3", "--model", "naive", "--windows", "0", "--out", "next.csv")


@pytest.mark.parametrize("time", ["Date", "Datum", "hour", "ds", "when", "Tag der Messung"])
@pytest.mark.parametrize("other", [False, True])
def test_future_table_with_any_time_column(command: Callable[..., str], time: str, other: bool) -> None:
    """The time column of the table of future values is recognised, whatever its name, also if it is another one."""
    Path("in.csv").write_text(lines(f"{time},y,promo", *(f"{day},{k % 7},{k % 2}" for k, day in enumerate(LONG))))
    Path("future.csv").write_text(lines(f"{'moment' if other else time},promo", *(f"{day},1" for day in AFTER)))
    command("forecast", "in.csv", "--target", "y", "--future", "future.csv", *QUICK)
    assert pd.read_csv("next.csv")[time].tolist() == AFTER


def test_decimal_comma_in_both_tables(command: Callable[..., str]) -> None:
    Path("in.csv").write_text(lines("Tag;y;x", *(f"{day};{k % 7},5;{k % 2},5" for k, day in enumerate(LONG))))
    Path("future.csv").write_text(lines("Tag;x", *(f"{day};1,5" for day in AFTER)))
    assert "decimal comma in 'y', 'x'" in command(
        "forecast", "in.csv", "--target", "y", "--future", "future.csv", *QUICK
    )
    Path("in.csv").write_text(lines("Tag;y", *(f"{day};1,{100 + k}" for k, day in enumerate(LONG))))
    assert "1.100 or 1100: say --decimal ',' or --decimal '.'" in command("forecast", "in.csv", *QUICK)
    command("forecast", "in.csv", "--decimal", ",", *QUICK)
    assert pd.read_csv("next.csv")["rekur"].tolist() == pytest.approx([1.129] * 3)
    command("forecast", "in.csv", "--thousands", ",", *QUICK)
    assert pd.read_csv("next.csv")["rekur"].tolist() == pytest.approx([1129] * 3)


def test_series_named_by_two_columns(command: Callable[..., str]) -> None:
    """Both columns come back, from the command line and from Python with their types, also from a saved model."""
    rows = [(s, d, day, 10 * d + k % 7) for s in ("a/b", "c") for d in (1, 2) for k, day in enumerate(LONG)]
    df = pd.DataFrame(rows, columns=["store", "dept", "day", "sold"])
    df.to_csv("in.csv", index=False)
    command("forecast", "in.csv", "--id", "store", "--id", "dept", "--save", "model", *QUICK)
    out = pd.read_csv("next.csv")
    keys = [["a/b", 1]] * 3 + [["a/b", 2]] * 3 + [["c", 1]] * 3 + [["c", 2]] * 3
    assert out[["store", "dept"]].to_numpy().tolist() == keys
    assert out["rekur"].tolist()[::3] == [11.0, 21.0, 11.0, 21.0]
    command("predict", "model", "in.csv", "--out", "again.csv")
    assert pd.read_csv("again.csv").equals(out)
    df["size"] = df["dept"] * 100.0
    model = rekur.Forecaster(3, select="naive").fit(df, id_col=["store", "dept"], stat_exog_list=["size"])
    assert model.predict().dtypes[["store", "dept"]].equals(df.dtypes[["store", "dept"]])
    assert model.predict()[["store", "dept"]].to_numpy().tolist() == keys
    static = df[["store", "dept", "size"]].drop_duplicates()
    model = rekur.Forecaster(3, select="naive").fit(df.drop(columns="size"), static_df=static, id_col=["store", "dept"])
    assert model.panel_.static[:, 0].tolist() == [100.0, 200.0, 100.0, 200.0]


def test_covariates_of_the_command_line(command: Callable[..., str]) -> None:
    """Targets and covariates by name or pattern; columns left out are named."""
    header = "day,load1,load2,temp1,temp2,shop,rain"
    Path("in.csv").write_text(lines(header, *(f"{day},{k % 7},{k % 5},{k},1,a,0" for k, day in enumerate(LONG))))
    printed = command("forecast", "in.csv", "--target", "load*", "--past", "temp*", "--static", "shop", *QUICK)
    assert "a wide table: 2 series" in printed
    assert "not used: 'rain'" in printed
    assert pd.read_csv("next.csv")["unique_id"].unique().tolist() == ["load1", "load2"]
    assert "no column 'wind*'" in command("forecast", "in.csv", "--target", "load*", "--past", "wind*", *QUICK)
    assert "two roles" in command("forecast", "in.csv", "--target", "load1", "--past", "load1", *QUICK)
    both = command("forecast", "in.csv", "--target", "load1", "--target", "load2", "--id", "shop", *QUICK)
    assert "each of several targets is a series of its own; leave out --id" in both


def test_several_files_of_the_command_line(command: Callable[..., str]) -> None:
    for k in range(3):
        Path(f"{k}.csv").write_text(lines("day,y", *(f"{day},{k % 7}" for day in LONG[10 * k : 10 * k + 10])))
    assert "3 files read as one table: '0.csv', '1.csv', '2.csv'" in command(
        "forecast", *(f"{k}.csv" for k in range(3)), *QUICK
    )
    assert pd.read_csv("next.csv")["day"].tolist() == AFTER
    command("forecast", "?.csv", *QUICK)
    Path("2.csv").write_text("day,z\n2025-01-13,1\n")
    assert "2.csv lacks 'y' and has 'z' besides" in command("forecast", "?.csv", "--save", "m", *QUICK)


def test_a_calendar_holds_the_covariates_of_the_past_too(command: Callable[..., str]) -> None:
    """The history takes the covariates that it lacks from the table of the future, whose rows hold for all series."""
    Path("in.csv").write_text(
        lines("shop,day,y", *(f"{shop},{day},{k % 7}" for shop in "ab" for k, day in enumerate(LONG)))
    )
    days = [day.replace("-", "/") for day in (*LONG, *AFTER)]  # written otherwise than in the history
    Path("calendar.csv").write_text(lines("date,holiday", *(f"{day},{k % 3}" for k, day in enumerate(days))))
    words = ("forecast", "in.csv", "--id", "shop", "--target", "y", "--future", "calendar.csv")
    printed = command(*words, *QUICK, "--save", "m")
    assert "past values of 'holiday' are from calendar.csv, for 60 of 60 rows" in printed
    assert "the future table: without a column 'shop', its rows were taken for every series" in printed
    assert "not used" not in printed
    panel = rekur.load("m").panel_
    assert panel.future[:, 0].tolist() == [k % 3 for k in range(30)] * 2
    again = command("predict", "m", "in.csv", "--future", "calendar.csv", "--out", "next.csv")
    assert "past values of 'holiday' are from calendar.csv, for 60 of 60 rows" in again
    Path("calendar.csv").write_text(lines("date,holiday", *(f"{day},1" for day in AFTER)))
    assert "calendar.csv has the column 'holiday', but in.csv has not: add it there, or put" in command(*words, *QUICK)
    Path("calendar.csv").write_text(lines("date,holiday", *(f"{day},1" for day in (*LONG, *AFTER[:2]))))
    short = command("forecast", "in.csv", "--id", "shop", "--target", "y", "--future", "calendar.csv", "-H", "3")
    assert "2 rows are absent of the 6 that the next 3 steps need: 'a' at 2025-02-14, 'b' at 2025-02-14" in short
    Path("calendar.csv").write_text(lines("date,holiday", *(f"{day},1" for day in (*LONG, *AFTER, AFTER[0]))))
    assert "calendar.csv, row 35: the time 2025-02-12 occurs twice" in command(*words, *QUICK)


def test_a_meter_with_units_and_a_clock(command: Callable[..., str]) -> None:
    """Date and hour are joined, and both are named where the hour is asked for; units are no part of numbers."""
    rows = [f"{day};00:00;{k % 7},25 kWh" for k, day in enumerate(LONG)]
    Path("in.csv").write_text(lines("Fecha;Hora;Consumo", *rows))
    printed = command("forecast", "in.csv", *QUICK)
    assert "columns 'Fecha' and 'Hora' were joined" in printed
    assert "unit 'kWh' removed in 'Consumo'" in printed
    joined = command("forecast", "in.csv", "--time", "Hora", *QUICK)
    assert "the columns 'Fecha' and 'Hora' were joined; name the first of them with --time" in joined


def test_two_columns_of_dates_are_named(command: Callable[..., str]) -> None:
    Path("in.csv").write_text(lines("Fecha;Fecha valor;Saldo", *(f"{day};{day};{k}" for k, day in enumerate(LONG))))
    assert "no unambiguous time column ('Fecha', 'Fecha valor' hold times)" in command("forecast", "in.csv", *QUICK)
