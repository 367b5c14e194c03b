"""The tables of a report, and what it says in words."""

from __future__ import annotations

from collections.abc import Sequence

from gpustack.reporting.html import Html, element, joined, name_of_file
from gpustack.reporting.told import Row, Setting, Told

_FRAME_COLUMNS = (
    *("frame", "file", "share, %", "right, px", "down, px", "scale", "turned, \N{DEGREE SIGN}", "gain"),
    *("residual, px", "notes"),
)


def headline(told: Told) -> str:
    """What was made of what, in one sentence."""
    frames = f"{told.used} of {len(told.rows)}" if told.used < len(told.rows) else str(len(told.rows))
    seconds = sum(told.report["seconds"].values())
    return (
        f"{told.size[0]} x {told.size[1]} pixels from {frames} frames by method {told.report['method']}, "
        f"in {_time(seconds)} on {told.report['backend']}; {told.made}."
    )


def warnings(told: Told) -> Html:
    """What the run warned of, things that moved among it."""
    moved = [
        joined(
            f"Something moved at {box[0]}, {box[1]} ({box[2]} x {box[3]} pixels of the reference as stored). "
            "It is shown as ",
            name_of_file(ghost["file"]),
            " has it.",
        )
        for ghost in told.report["ghosts"]
        for box in (ghost["box"],)
    ]
    sentences = [*told.warnings, *moved]
    if not sentences:
        return element("p", "None.")
    return element("ul", *(element("li", sentence) for sentence in sentences), class_="warnings")


def facts(told: Told) -> Html:
    """What is to be known of the picture that it does not show."""
    report, (left, top, width, height) = told.report, told.report["box"]
    said = [f"Kept are {width} x {height} pixels of the reference as stored, from {left}, {top}."]
    if report["slabs"]:
        said.append(f"It was fused from the pictures of {len(report['slabs'])} slabs.")
    if report["layers"] is not None:
        layers, none = len(report["layers"]["frames"]), len(report["layers"]["left_out"])
        said.append(f"{layers} frames have a layer; {none} own nothing of the picture, and have none.")
    return element("p", " ".join(said), class_="faint")


def frames(told: Told) -> Html:
    """One row a frame."""
    caption = "Frames in stack order. Shifts are those of the middle of the picture against the reference."
    body = element("tbody", *(_frame(row) for row in told.rows))
    table = element("table", element("caption", caption), _head(_FRAME_COLUMNS), body, class_="frames")
    return element("div", table, class_="scroll", tabindex=0, role="region", aria_label="Table of the frames")


def _frame(row: Row) -> Html:
    name = element("th", name_of_file(row.name), scope="row")
    if row.out:
        reason = element("td", f"left out: {row.out}", colspan=8)
        return element("tr", element("td", str(row.index)), name, reason, class_="out")
    moved = row.movement
    numbers = (
        f"{100 * row.share:.2f}",
        _signed(moved.shift_px[0], 2),
        _signed(moved.shift_px[1], 2),
        f"{moved.scale:.5f}",
        _signed(moved.rotation_deg, 3),
        f"{row.gain:.3f}",
        f"{row.residual_px:.2f}",
    )
    notes = ", ".join([*row.notes, *(["shaken"] if row.shaken else [])])
    cells = (element("td", text) for text in (*numbers, notes))
    return element("tr", element("td", str(row.index)), name, *cells)


def settings(told: Told) -> Html:
    """All settings, those that are not as usual first."""
    changed = sum(setting.changed for setting in told.settings)
    table = element(
        "table",
        element("caption", "Every setting; those that differ come first."),
        _head(("setting", "value", "default")),
        element("tbody", *map(_setting, told.settings)),
    )
    summary = element("summary", f"{changed} of {len(told.settings)} differ from the defaults")
    return element("details", summary, table)


def _setting(setting: Setting) -> Html:
    name = element("th", element("strong", setting.name) if setting.changed else setting.name, scope="row")
    return element("tr", name, element("td", setting.value), element("td", setting.usual))


def seconds(told: Told) -> Html:
    """Where the time went, and what the run took."""
    report = told.report
    whole = sum(report["seconds"].values())
    rows = [
        (stage, f"{taken:.2f} s", f"{taken / whole:.0%}" if whole else "")
        for stage, taken in report["seconds"].items()
    ]
    caption = element("caption", f"Seconds by stage, {whole:.2f} together.")
    body = element("tbody", *(_plain(*row) for row in rows))
    table = element("table", caption, _head(("stage", "time", "of all")), body)
    busy = ", ".join(f"{stage} {share:.0%}" for stage, share in report["busy"].items())
    device = report["device_bytes"]
    said = [
        f"Limited by {report['limit']}. Share of the time that each part of the machine was at work: {busy}.",
        f"Frames were decoded for {_time(report['decode_seconds'])} in all threads together, and waited for "
        f"{_time(report['waiting_seconds'])}.",
        f"Memory: {report['peak_bytes'] / 2**20:,.0f} MiB at most"
        + (f", and {device / 2**20:,.0f} MiB on the device." if device else "."),
        f"Backend: {report['backend']}. {told.backend}",
    ]
    return joined(table, *(element("p", sentence) for sentence in said))


def versions(told: Told) -> Html:
    """The program, its libraries and the machine."""
    rows = [*told.program.items(), ("machine", told.machine)]
    body = element("tbody", *(_plain(name, value) for name, value in rows))
    return element("table", element("caption", "What made the picture."), _head(("name", "version")), body)


def again(told: Told) -> Html:
    """The commands that make the picture again."""
    if not told.commands:
        return element(
            "p", "It was made from Python, or from files of several folders; the settings are above."
        )
    return joined(*(joined(element("p", what), _command(command)) for what, command in told.commands))


def gaps(told: Told) -> Html:
    """How to learn what this report does not know."""
    if told.sidecar is None:
        said = "Where focus was missed is told by a further look at the frames:"
        return joined(element("p", said), _command("gpustack inspect FRAMES --map map.png"))
    command = told.commands[0][1].replace("gpustack replay", "gpustack inspect", 1)
    said = "Where focus was missed is told by a further look at the frames, beside the sidecar:"
    return joined(element("p", said), _command(f"{command} --map map.png"))


def _command(command: str) -> Html:
    name = " ".join(command.split(" ", 2)[:2])
    return element("pre", element("code", command), tabindex=0, role="region", aria_label=name)


def _head(names: Sequence[str]) -> Html:
    return element("thead", element("tr", *(element("th", name, scope="col") for name in names)))


def _plain(name: str, *values: str) -> Html:
    return element("tr", element("th", name, scope="row"), *(element("td", value) for value in values))


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text.lstrip("+-") if not float(text) else text.replace("-", "\N{MINUS SIGN}")


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
