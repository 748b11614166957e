"""The index page: everything that a paper shows on one page, in one file, without a script.

Its template stands here and not in a file of its own, so that the fingerprint of the stage moves
with it (`tessera.fingerprint` reads Python alone).
"""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from tessera.report.captions import paragraphs, plain

LARGEST = 1320
"""Pixels: a wider picture is embedded smaller, or one grid of full-size samples would take tens of
megabytes. The widest figure, a page at 180 dots an inch, stays as it is."""

HALF = 700
"""CSS pixels: pictures up to this width stand two in a row."""


@dataclass(frozen=True)
class Shown:
    """A table, a figure or a picture.

    Attributes:
        category: where it stands.
        kind: "table", "figure" or "picture".
        title: its heading.
        anchor: its place on the page, unlike any other.
        caption: reStructuredText, see `tessera.report.captions`.
        files: what to call a file → where it lies, relative to the page.
        image: the picture, a PNG; empty for tables.
        note: how to read the table, as HTML that `tessera.report.render` wrote.
        table: the table, likewise; empty for figures, pictures and tables that are too long to be
            read.
    """

    category: str
    kind: str
    title: str
    anchor: str
    caption: str
    files: Mapping[str, str] = field(default_factory=dict)
    image: bytes = b""
    note: str = ""
    table: str = ""

    @property
    def alt(self) -> str:
        """What stands for the image where it is not seen."""
        return plain(self.caption)

    @property
    def paragraphs(self) -> list[Markup]:
        """The caption."""
        return [Markup(text) for text in paragraphs(self.caption)]

    @property
    def markup(self) -> tuple[Markup, Markup]:
        """Note and table, which are HTML already."""
        return Markup(self.note), Markup(self.table)

    @property
    def style(self) -> str:
        """The word `half` where two stand beside each other on a wide screen."""
        return "half" if self.kind == "picture" and self.width <= HALF else ""

    @property
    def width(self) -> int:
        """The width at which the image is shown, CSS pixels; a figure is printed at twice that."""
        width = Image.open(io.BytesIO(self.image)).width
        return width if self.kind == "picture" else round(width / 1.5)

    @property
    def uri(self) -> str:
        """The image as part of the page."""
        return f"data:image/png;base64,{base64.b64encode(self.image).decode()}"


def within(png: bytes, largest: int = LARGEST) -> bytes:
    """A PNG no wider than `largest` pixels: itself, or a smaller copy."""
    image = Image.open(io.BytesIO(png))
    if image.width <= largest:
        return png
    height = max(1, round(image.height * largest / image.width))
    smaller, content = image.resize((largest, height), Image.Resampling.LANCZOS), io.BytesIO()
    smaller.save(content, format="PNG", optimize=True)
    return content.getvalue()


def page(
    title: str, facts: Sequence[tuple[str, str]], categories: Mapping[str, Sequence[Shown]]
) -> str:
    """The page.

    Args:
        title: the heading.
        facts: what the run was: a name and a value each.
        categories: category → what stands in it; an empty one is left out.

    Returns:
        HTML that needs no other file and no network. All texts but the tables are escaped.
    """
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    filled = {name: list(shown) for name, shown in categories.items() if shown}
    return environment.from_string(_PAGE).render(
        title=title,
        facts=facts,
        categories=filled,
        titles=Counter(shown.title for some in filled.values() for shown in some),
        second=Markup(_NAMED_SECOND),
    )


_NAMED_SECOND = ":is(#table-unconditional,#table-conditional,#table-linear_probe,#table-trainings)"
"""Tables whose second column names the row; the first one says of what kind it is."""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{{ title }}</title>
<style>
:root{color-scheme:light}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;margin:0 auto;
  max-width:90rem;padding:1.5rem;overflow-wrap:break-word}
h1{font-size:1.8rem;line-height:1.2;margin:.5rem 0 1rem}
h2{font-size:1.35rem;border-bottom:2px solid #222;margin:3rem 0 1rem;padding-bottom:.2rem}
h3{font-size:1.05rem;margin:2rem 0 .4rem}
h3 small{color:#595959;font-weight:normal}
a{color:#005a8c}
nav ul{list-style:none;margin:0;padding:0}
nav>ul>li{margin:.3rem 0}
nav ul ul{display:inline}
nav ul ul li{display:inline}
nav ul ul li+li::before{content:"\\00b7";margin:0 .4em;color:#595959}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;font-size:.9rem}
dt{color:#595959}
dd{margin:0}
section{display:grid;grid-template-columns:1fr 1fr;column-gap:2rem}
section>*{grid-column:1/-1;min-width:0}
figure{margin:0}
header>p{max-width:46rem}
figcaption{max-width:46rem;font-size:.95rem}
figcaption p{margin:0 0 .5rem}
img{display:block;max-width:100%;height:auto;margin:.6rem 0}
.files{font-size:.85rem;margin:.4rem 0 0}
.wide{overflow-x:auto;max-width:100%;margin:.6rem 0}
table{border-collapse:collapse;border-top:2px solid #222;border-bottom:2px solid #222;
  font-size:.85rem}
.note{font-size:.85rem;color:#444;max-width:46rem;margin:0 0 .5rem}
summary{cursor:pointer}
th,td{padding:.2rem .6rem;white-space:nowrap}
th{border-bottom:1px solid #222;vertical-align:bottom;white-space:normal}
.text{text-align:left}
.number{text-align:right;font-variant-numeric:tabular-nums}
tr{background:#fff}
tbody tr:nth-child(even){background:#f4f4f4}
@media(min-width:50rem){
  .half{grid-column:span 1}
  /* What names a row stays in sight. Some tables begin with a column of few kinds. */
  :is(th,td):first-child{position:sticky;left:0;background:inherit}
  {{ second }} :is(th,td):first-child{position:static}
  {{ second }} :is(th,td):nth-child(2){position:sticky;left:0;background:inherit}
}
@media(max-width:40rem){
  body{padding:.8rem}
  dl{grid-template-columns:1fr}
  dd{margin:0 0 .4rem}
}
@media print{
  body{font-size:10pt;max-width:none;padding:0}
  nav,.files{display:none}
  h2,h3{break-after:avoid}
  figcaption{break-after:avoid}
  figure:has(img),figcaption p,tr{break-inside:avoid}
  .half{grid-column:span 1}
  summary{display:none}
  details::details-content{content-visibility:visible;block-size:auto}
  .wide{overflow:visible}
  table{font-size:6.5pt}
  td,th{padding:.1rem .25rem;white-space:normal}
}
</style>
</head>
<body>
<header>
<h1>{{ title }}</h1>
<p>All tables, figures and pictures of one run. Every number comes from the card of a job: a file
beside the results that names settings, seeds, digests of what went in and came out, device and
package versions.</p>
<dl>
{% for name, value in facts %}
<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}
</dl>
<nav aria-label="Contents">
<ul>
{% for name, items in categories.items() %}
<li><a href="#category-{{ loop.index }}"><strong>{{ name }}</strong></a>:
<ul>
{% for item in items %}
<li><a href="#{{ item.anchor }}">{{ item.title }}{{
  " (" ~ item.kind ~ ")" if titles[item.title] > 1 }}</a></li>
{% endfor %}
</ul></li>
{% endfor %}
</ul>
</nav>
</header>
<main>
{% for name, items in categories.items() %}
<section id="category-{{ loop.index }}" aria-labelledby="heading-{{ loop.index }}">
<h2 id="heading-{{ loop.index }}">{{ name }}</h2>
{% for item in items %}
<figure id="{{ item.anchor }}"{% if item.style %} class="{{ item.style }}"{% endif %}>
<h3>{{ item.title }} <small>{{ item.kind }}</small></h3>
<figcaption>
{% for text in item.paragraphs %}
<p>{{ text }}</p>
{% endfor %}
</figcaption>
{% if item.image %}
<img src="{{ item.uri }}" width="{{ item.width }}" alt="{{ item.alt }}">
{% endif %}
{% if item.table %}
{% set note, table = item.markup %}
<details class="note"><summary>how to read it</summary>{{ note }}</details>
<div class="wide" role="region" tabindex="0" aria-label="{{ item.title }}">{{ table }}</div>
{% endif %}
<p class="files">{% for text, file in item.files.items() %}
<a href="{{ file }}">{{ text }}</a>{{ "" if loop.last else " · " }}
{% endfor %}</p>
</figure>
{% endfor %}
</section>
{% endfor %}
</main>
</body>
</html>
"""
