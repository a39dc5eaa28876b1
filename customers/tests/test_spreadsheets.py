import pytest

from customers.spreadsheets import escape_formula, unescape_formula


@pytest.mark.parametrize(
    ("cell", "escaped"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3+cmd", "'-2+3+cmd"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("\ttab", "'\ttab"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("Ann;=1+1", "Ann;'=1+1"),
        ("Ann;'=1+1", "Ann;''=1+1"),
        ("Ann\n=1+1", "Ann\n'=1+1"),
        (";\uff1d1", ";'\uff1d1"),
        ("-", "'-"),
        ("+", "'+"),
        # A spreadsheet saves these as numbers without their plus.
        ("+49 30 901820", "'+49 30 901820"),
        ("+49 (0)30/90182-0", "'+49 (0)30/90182-0"),
        ("+493090182000", "'+493090182000"),
        ("'+49", "''+49"),
        ("''=1", "'''=1"),
        ("-5", "-5"),
        ("-5.25", "-5.25"),
        ("-1,000", "-1,000"),
        ("1=1", "1=1"),
        ("'t Hart", "'t Hart"),
        ("O'Neill; Ann", "O'Neill; Ann"),
        ("a@b.example", "a@b.example"),
        ("", ""),
    ],
)
def test_cell_is_escaped_and_comes_back(cell, escaped):
    assert (escape_formula(cell), unescape_formula(escaped)) == (escaped, cell)
