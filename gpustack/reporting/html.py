"""Elements of HTML and SVG, in which no text can become markup.

What is `Html` is taken as it is; every other string is text, and escaped. So nobody who puts a page together
has to think of it, and a file may be called `<script>`.
"""

from __future__ import annotations

import html
import re

_VOID = frozenset({"meta", "img", "br", "col", "link"})
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What HTML must not hold (its standard, 13.2.3.5: control characters, surrogates, noncharacters)."""


class Html(str):
    """Markup that is whole: every element that it opens it closes."""

    __slots__ = ()


def escaped(text: object) -> Html:
    """Text, for between two tags or for the value of an attribute; what cannot be shown becomes U+FFFD."""
    return Html(html.escape(_UNSHOWABLE.sub("\ufffd", str(text)), quote=True))


def element(name: str, /, *inside: str, **attributes: object) -> Html:
    """`<name attributes>inside</name>`. Attributes that are None are left out; a `_` at the end of a name
    goes, others become `-`."""
    told = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{joined(*inside)}</{name}>")


def joined(*parts: str) -> Html:
    """Parts one after the other."""
    return Html("".join(part if isinstance(part, Html) else escaped(part) for part in parts))


def name_of_file(name: str) -> Html:
    """A name of a file, which may run from the right to the left, without turning what is around it."""
    return element("bdi", name)
