"""XMP packets: carried over from the reference frame, less what describes its file, plus how the result was
made.

Source: ISO 16684-1 (XMP, part 1) and Adobe's XMP specification, parts 2 and 3. A packet is kept as the text
it is, properties and all; taken out is what would be wrong for another picture: its format, size and turn,
thumbnails, the identity and history of the old file, and develop settings, which editors would apply to the
fused pixels a second time.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

PACKET_LIMIT = 65_502
"""Bytes of the longest packet that one JPEG segment takes (65,535 less its length field and the mark)."""

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMP = "http://ns.adobe.com/xap/1.0/"
MANAGEMENT = "http://ns.adobe.com/xap/1.0/mm/"
EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_META = "adobe:ns:meta/"
_EXIF, _TIFF = "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/tiff/1.0/"
_DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"

_DEEPEST = 100
"""Elements within each other; XMP has about ten. Writing them takes a call of a function for each."""
_DEVELOPING = (
    "http://ns.adobe.com/camera-raw-settings/1.0/",
    "http://ns.adobe.com/camera-raw-saved-settings/1.0/",
)
_STALE_BY_NAMESPACE = {
    _TIFF: "Orientation ImageWidth ImageLength BitsPerSample Compression SamplesPerPixel",
    _EXIF: "PixelXDimension PixelYDimension ColorSpace",
    XMP: "Thumbnails CreatorTool MetadataDate",
    _DUBLIN_CORE: "format",
    MANAGEMENT: "DocumentID InstanceID DerivedFrom History Ingredients",
}
_STALE = {f"{{{uri}}}{name}" for uri, names in _STALE_BY_NAMESPACE.items() for name in names.split()}
_PREFIXES = {
    "rdf": RDF,
    "xmp": XMP,
    "xmpMM": MANAGEMENT,
    "stEvt": EVENT,
    "x": _META,
    "exif": _EXIF,
    "tiff": _TIFF,
}
_NAMESPACE = re.compile(rb"""xmlns:([A-Za-z_][\w.-]*)\s*=\s*["']([^"'<&]+)["']""")
_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_TAIL = '\n<?xpacket end="w"?>'


def renewed(packet: bytes | None, software: str, history: str | None) -> bytes | None:
    """A packet for the picture that `software` wrote; None where there is nothing to say.

    `packet`: that of the reference frame; one that is no sound XML is left out. `history`: how the picture
    was made. What is too long for a JPEG loses what the frame said.
    """
    tree = _parsed(packet)
    if tree is None and history is None:
        return None
    root = _empty() if tree is None else tree
    _clear(root, _is_stale)
    if history is not None:
        _tell(root, software, history)
    written = _written(root)
    return written if len(written) <= PACKET_LIMIT or tree is None else renewed(None, software, history)


def without_gps(packet: bytes | None) -> bytes | None:
    """The same less the place where the picture was taken; None where it cannot be read."""
    root = _parsed(packet)
    if root is None:
        return None
    _clear(root, lambda name: name.startswith(f"{{{_EXIF}}}GPS"))
    return _written(root)


def _parsed(packet: bytes | None) -> ET.Element | None:
    """The RDF of a packet, in the empty frame of a new one.

    Entities are refused before anything is parsed: XMP needs none, and those of a hostile file grow without
    end.
    """
    packet = (packet or b"").strip(b"\0 \t\r\n")
    if not packet or b"\0" in packet or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return None  # with zeros inside it is no UTF-8, and the marks of entities could not be seen
    for prefix, uri in _NAMESPACE.findall(packet):
        _register(prefix.decode(), uri.decode(errors="replace"))
    try:
        found = ET.fromstring(packet)
    except (ET.ParseError, ValueError, LookupError):
        return None
    if _depth(found) > _DEEPEST:
        return None
    rdf = found if found.tag == f"{{{RDF}}}RDF" else found.find(f"{{{RDF}}}RDF")
    if rdf is None:
        return None
    root = ET.Element(f"{{{_META}}}xmpmeta")
    root.append(rdf)
    return root


def _depth(root: ET.Element) -> int:
    """How deep elements are nested, not by recursion, which is what it is about."""
    depth, level = 0, [root]
    while level:
        depth, level = depth + 1, [child for element in level for child in element]
    return depth


def _register(prefix: str, uri: str) -> None:
    """Write a namespace under the prefix that its file gives it."""
    if not re.fullmatch(r"ns\d+|xml.*", prefix) and prefix not in _PREFIXES:
        ET.register_namespace(prefix, uri)


def _empty() -> ET.Element:
    root = ET.Element(f"{{{_META}}}xmpmeta")
    ET.SubElement(root, f"{{{RDF}}}RDF")
    return root


def _clear(root: ET.Element, unwanted: Callable[[str], bool]) -> None:
    """Take properties out, written as attributes or as elements."""
    for description in list(root.iter(f"{{{RDF}}}Description")):
        for name in [name for name in description.attrib if unwanted(name)]:
            del description.attrib[name]
        for child in [child for child in description if unwanted(child.tag)]:
            description.remove(child)
    for rdf in root.findall(f"{{{RDF}}}RDF"):
        for description in rdf.findall(f"{{{RDF}}}Description"):
            if not len(description) and set(description.attrib) <= {f"{{{RDF}}}about"}:
                rdf.remove(description)


def _is_stale(name: str) -> bool:
    """Whether a property does not hold for another picture."""
    return name in _STALE or name.startswith(tuple(f"{{{uri}}}" for uri in _DEVELOPING))


def _tell(root: ET.Element, software: str, history: str) -> None:
    """Add the program and one step of history."""
    rdf = root.find(f"{{{RDF}}}RDF")
    assert rdf is not None, "both ways to a root make one"
    description = ET.SubElement(rdf, f"{{{RDF}}}Description", {f"{{{RDF}}}about": _about(rdf)})
    description.set(f"{{{XMP}}}CreatorTool", software)
    steps = ET.SubElement(ET.SubElement(description, f"{{{MANAGEMENT}}}History"), f"{{{RDF}}}Seq")
    step = ET.SubElement(steps, f"{{{RDF}}}li", {f"{{{RDF}}}parseType": "Resource"})
    for name, text in (("action", "derived"), ("softwareAgent", software), ("parameters", history)):
        ET.SubElement(step, f"{{{EVENT}}}{name}").text = text


def _about(rdf: ET.Element) -> str:
    """What the other descriptions are about: all of a packet must be about the same (ISO 16684-1, 7.4)."""
    first = rdf.find(f"{{{RDF}}}Description")
    return "" if first is None else first.get(f"{{{RDF}}}about", "")


def _written(root: ET.Element) -> bytes:
    for prefix, uri in _PREFIXES.items():
        ET.register_namespace(prefix, uri)
    return f"{_HEAD}{ET.tostring(root, encoding='unicode')}{_TAIL}".encode()
