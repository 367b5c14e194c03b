"""The pictures and drawings of a report, with what is written under them."""

from __future__ import annotations

from collections.abc import Iterator

from gpustack.reporting.html import Html, element, joined, name_of_file
from gpustack.reporting.pictures import Cut, Pictures
from gpustack.reporting.svg import Chart, Line, line_chart, ramp, share_bars
from gpustack.reporting.told import Row, Told


def result(told: Told, pictures: Pictures) -> Html:
    """The picture, and crops of it at 100 %."""
    small = pictures.picture
    size = f"{told.size[0]} x {told.size[1]} pixels"
    shown = "at its full size" if small.width == told.size[0] else f"shown at {small.width} x {small.height}"
    whole = element(
        "figure",
        element("img", src=small.address, width=small.width, height=small.height, alt="The fused picture"),
        element("figcaption", f"{size}, {shown}, as sRGB."),
    )
    if not pictures.cuts:
        return whole
    crops = element("div", *(_crop(told, cut) for cut in pictures.cuts), class_="crops")
    return joined(whole, element("h3", "At 100 %"), crops)


def _crop(told: Told, cut: Cut) -> Html:
    where = f"{cut.crop.left}, {cut.crop.top}"
    why = "where frames far from each other meet" if cut.crop.contested else "where there is most fine detail"
    kind = "Contended for" if cut.crop.contested else "Sharp"
    parts = [
        joined(", " if number else "", name_of_file(told.rows[index].name), f" {share:.0%}")
        for number, (index, share) in enumerate(cut.frames)
        if index < len(told.rows)
    ]
    alt = f"A crop of the picture at 100 %, {why}, from {where}"
    image = element(
        "img", src=cut.picture.address, width=cut.picture.width, height=cut.picture.height, alt=alt
    )
    return element("figure", image, element("figcaption", f"{kind}, from {where}: ", *parts))


def depth(told: Told, pictures: Pictures) -> Html:
    """The depth with its legend, or how to have it."""
    if pictures.depth is None:
        return element("p", "The depth was not made. From Python, stack with Settings(depth=True).")
    caption = (
        "In the colour of the frame that is focused there, and between frames in between. Pale: too little "
        "is seen there, and the depth is filled in from what is around."
    )
    if told.step_um is not None:
        caption += f" From one frame to the next are {told.step_um:g} micrometres."
    return _map(told, pictures, "depth", "Depth map: which frame is focused on each place", caption)


def winners(told: Told, pictures: Pictures) -> Html:
    """Which frame won where, with the legend."""
    caption = "Each place in the colour of the frame that it mostly comes from."
    return _map(told, pictures, "winners", "Contribution map: which frame each place comes from", caption)


def _map(told: Told, pictures: Pictures, name: str, alt: str, caption: str) -> Html:
    picture = pictures.winners if name == "winners" or pictures.depth is None else pictures.depth
    first, last = "frame 0", f"frame {len(told.rows) - 1}"
    return element(
        "figure",
        element("img", src=picture.address, width=picture.width, height=picture.height, alt=alt),
        ramp(name, pictures.colours, first, last),
        element("figcaption", caption),
    )


def shares(told: Told, pictures: Pictures) -> Html:
    """How much of the picture each frame won, as bars."""
    names = [row.name for row in told.rows]
    drawn = share_bars(
        [row.share for row in told.rows], names, pictures.colours, [bool(r.out) for r in told.rows]
    )
    bars = element("div", drawn, class_="wide", tabindex=0, role="region", aria_label="Shares of the frames")
    return element(
        "figure", bars, element("figcaption", "Share of the pixels that each frame won.", _legend(told))
    )


def alignment(told: Told) -> Html:
    """How frames lie against the reference, as lines over the frames."""
    names = [row.name for row in told.rows]
    drawn = [
        element("figure", element("h3", chart.title), line_chart(chart, names), _keys(chart))
        for chart in _charts(told)
    ]
    main = told.rows[told.reference]
    intro = element(
        "p",
        f"Against the reference, frame {main.index} (",
        name_of_file(main.name),
        f"), at its middle and upright. What a frame may do: {told.report['model']}.",
        _legend(told),
    )
    return joined(intro, element("div", *drawn, class_="charts"))


def _charts(told: Told) -> Iterator[Chart]:
    def line(name: str, *values: float) -> Line:
        pairs = zip(told.rows, values, strict=True)
        return Line(name, [None if row.out else value for row, value in pairs])

    rows: tuple[Row, ...] = told.rows
    moved = [row.movement for row in rows]
    right = line("To the right", *(each.shift_px[0] for each in moved))
    down = line("Down", *(each.shift_px[1] for each in moved))
    yield Chart("shift", "Shift", "px", (right, down), 0.5, 2)
    yield Chart("scale", "Scale", "%", (line("", *(100 * (each.scale - 1) for each in moved)),), 0.02, 3)
    yield Chart(
        "rotation", "Rotation, clockwise", "degrees", (line("", *(e.rotation_deg for e in moved)),), 0.02, 3
    )
    yield Chart("gain", "Gain of the brightness", "times", (line("", *(row.gain for row in rows)),), 0.02, 3)
    residual = line("", *(row.residual_px for row in rows))
    yield Chart(
        "residual", "Residual of the matches with other frames", "px", (residual,), 0.2, 2, from_zero=True
    )


def _keys(chart: Chart) -> Html:
    if len(chart.lines) < 2:
        return Html("")
    keys = [
        joined(element("span", class_=f"key key-{number}", aria_hidden="true"), f" {line.name} ")
        for number, line in enumerate(chart.lines, 1)
    ]
    return element("figcaption", *keys)


def _legend(told: Told) -> str:
    return " Red crosses are frames that were left out." if told.used < len(told.rows) else ""
