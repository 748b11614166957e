"""Tables as text: CSV for programs, Markdown for reading, LaTeX for papers, HTML for the report."""

import csv
import html
import io
import re
from collections.abc import Callable
from typing import Any

from tessera.report.table import Table


def to_csv(table: Table) -> str:
    """Every column of data, floats with all their digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [column for column in table.columns if column.data]
    writer.writerow([column.key for column in columns])
    writer.writerows([_exact(row.get(column.key)) for column in columns] for row in table.rows)
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """A pipe table with its caption above."""
    columns = table.visible
    right = [table.is_number(column) for column in columns]
    body = _cells(table, markdown_escape, "**{}**")
    grid = [[markdown_escape(column.heading) for column in columns], *body]
    widths = [max(3, *(len(cells[i]) for cells in grid)) for i in range(len(columns))]
    rule = [
        "-" * (width - 1) + ":" if number else "-" * width
        for width, number in zip(widths, right, strict=True)
    ]
    lines = []
    for cells in (grid[0], rule, *grid[1:]):
        padded = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(cells, widths, right, strict=True)
        ]
        lines.append(f"| {' | '.join(padded)} |\n")
    return f"{markdown_escape(table.caption)}\n\n{''.join(lines)}"


def to_latex(table: Table) -> str:
    """A floating table, no wider than the text; needs the packages booktabs and graphicx."""
    columns = table.visible
    align = "".join("r" if table.is_number(column) else "l" for column in columns)
    head = " & ".join(_latex_heading(column.heading) for column in columns)
    body = [
        f"    {' & '.join(cells)} \\\\" for cells in _cells(table, latex_escape, r"\textbf{{{}}}")
    ]
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}.",
        r"\begin{table}[t]",
        r"  \centering",
        f"  \\caption{{{latex_escape(table.caption)}}}",
        f"  \\label{{tab:{table.name.replace('_', '-')}}}",
        r"  \vspace{4pt}",
        r"  \footnotesize"
        if len(columns) <= NARROW
        else r"  \scriptsize\setlength{\tabcolsep}{3pt}",
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        f"  \\begin{{tabular}}{{@{{}}{align}@{{}}}}",
        r"    \toprule",
        f"    {head} \\\\",
        r"    \midrule",
        *body,
        r"    \bottomrule",
        r"  \end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def to_html(table: Table) -> str:
    """A page of its own, without scripts or links: Snakemake's report shows it in place."""
    kinds = ["number" if table.is_number(column) else "text" for column in table.visible]

    def row(tag: str, cells: list[str]) -> str:
        marked, name = zip(kinds, cells, strict=True), tag.partition(" ")[0]
        return "".join(f'<{tag} class="{kind}">{cell}</{name}>' for kind, cell in marked)

    headings = [html.escape(column.heading).replace("\n", "<br>\n") for column in table.visible]
    head = row('th scope="col"', headings)
    body = _cells(table, html.escape, "<strong>{}</strong>")
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        f'<head><meta charset="utf-8"><title>{html.escape(table.name)}</title>',
        f"<style>{_STYLE}</style></head>",
        f"<body><table><caption>{html.escape(table.caption)}</caption>",
        f"<thead><tr>{head}</tr></thead>",
        "<tbody>",
        *(f"<tr>{row('td', cells)}</tr>" for cells in body),
        "</tbody></table></body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def parts_of_page(page: str) -> tuple[str, str]:
    """The caption and the table of a page that `to_html` made, as HTML for another page."""
    caption, _, table = page.partition("<caption>")[2].partition("</caption>")
    return caption, f"<table>{table.partition('</body>')[0]}"


RENDER: dict[str, Callable[[Table], str]] = {
    "csv": to_csv,
    "md": to_markdown,
    "tex": to_latex,
    "html": to_html,
}
"""Suffix of a file → what writes it."""


def _cells(table: Table, escape: Callable[[str], str], bold: str) -> list[list[str]]:
    """The visible cells, row by row, escaped and with the best ones in bold."""
    best = table.best
    return [
        [
            bold.format(text) if (i, column.key) in best else text
            for column in table.visible
            for text in [escape(column.text(row))]
        ]
        for i, row in enumerate(table.rows)
    ]


def _exact(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def _latex_heading(heading: str) -> str:
    """A heading, of several lines where it says so."""
    lines = [latex_escape(line) for line in heading.split("\n")]
    return lines[0] if len(lines) == 1 else r"\shortstack{" + r"\\".join(lines) + "}"


NARROW = 8
"""Columns that fit beside each other at the size of a footnote."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "–": "--",
    "\N{MINUS SIGN}": "$-$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def latex_escape(text: str) -> str:
    """Text as LaTeX sets it, sign by sign; a hyphen before a number is a minus."""
    text = re.sub(r"(?<![\w.)])-(?=\d)", "\N{MINUS SIGN}", text)
    return "".join(_LATEX.get(sign, sign) for sign in text)


def markdown_escape(text: str) -> str:
    """Text as Markdown shows it inside a pipe table."""
    for sign in ("\\", "|", "*", "`", "<"):
        text = text.replace(sign, "\\" + sign)
    return text.replace("\n", " ")


_STYLE = (
    "body{font:14px/1.45 system-ui,sans-serif;margin:1.5rem;color:#222;background:#fff}"
    "table{border-collapse:collapse;border-top:2px solid #222;border-bottom:2px solid #222}"
    "caption{text-align:left;padding:0 0 .8rem;max-width:60rem}"
    "th{border-bottom:1px solid #222}th,td{padding:.25rem .7rem;white-space:nowrap}"
    ".text{text-align:left}.number{text-align:right;font-variant-numeric:tabular-nums}"
    "tbody tr:nth-child(even){background:#f4f4f4}"
)
