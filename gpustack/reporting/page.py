"""The page of a report: what is told and drawn, under headings, in one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from gpustack.reporting import figures, tables
from gpustack.reporting.html import Html, element, joined
from gpustack.reporting.pictures import Pictures
from gpustack.reporting.told import Told

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing is fetched and nothing is run, whatever a viewer would allow (Content Security Policy, level 3)."""


def page(told: Told, pictures: Pictures) -> str:
    """The whole file."""
    sections = list(_sections(told, pictures))
    links = [element("li", element("a", title, href=f"#{name}")) for name, title, _ in sections]
    header = element(
        "header",
        element("h1", element("bdi", told.title)),
        element("p", tables.headline(told)),
        element("nav", element("ul", *links), aria_label="Contents"),
    )
    body = [
        element("section", element("h2", title, id=name), content, aria_labelledby=name)
        for name, title, content in sections
    ]
    foot = element("footer", element("p", f"gpustack {told.program['gpustack']}", class_="faint"))
    whole = element("html", _head(told), element("body", header, element("main", *body), foot), lang="en")
    return f"<!DOCTYPE html>\n{whole}\n"


def _sections(told: Told, pictures: Pictures) -> Iterator[tuple[str, str, Html]]:
    """Each section's name, title and content, in the order of the page."""
    yield "warnings", "Warnings", tables.warnings(told)
    yield "result", "Result", joined(tables.facts(told), figures.result(told, pictures))
    maps = figures.depth(told, pictures), figures.winners(told, pictures)
    yield (
        "maps",
        "Depth and contribution",
        joined(element("div", *maps, class_="maps"), figures.shares(told, pictures)),
    )
    yield "alignment", "Alignment", figures.alignment(told)
    yield "frames", "Frames", tables.frames(told)
    yield "gaps", "Gaps", tables.gaps(told)
    yield "settings", "Settings", tables.settings(told)
    yield "time", "Time and memory", tables.seconds(told)
    yield "versions", "Versions and machine", tables.versions(told)
    yield "again", "Make it again", tables.again(told)


def _head(told: Told) -> Html:
    style = Html((files("gpustack.reporting") / "report.css").read_text("utf-8"))  # quotes and all
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"gpustack {told.program['gpustack']}"),
        element("title", f"{told.title} - gpustack report"),
        element("style", style),
    )
