"""XML of label files, parsed without entities: they could name other files, or grow without bound."""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError, XMLParser

from faceforge.errors import FaceForgeError


def parse_xml(content: bytes, name: str) -> Element | None:
    """The root of an XML document; None if it is not well-formed.

    Raises:
        FaceForgeError: it declares entities.
    """
    if b"<!ENTITY" in content or b"<!DOCTYPE" in content:
        raise FaceForgeError(f"{name} declares XML entities, which label files do not need; remove the declaration")
    parser = XMLParser()  # noqa: S314 - documents that declare entities have been refused
    try:
        parser.feed(content)
        root: Element = parser.close()
    except (ParseError, ValueError):
        return None
    return root
