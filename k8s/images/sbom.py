"""The bill of materials of an image, as CycloneDX 1.5 JSON: `python sbom.py NAME > sbom.json`, run inside it.

Lists the Python packages and the Debian packages that are installed. Needs nothing but Python, asks no network, and
says the same of the same image.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

DPKG_STATUS = Path("/var/lib/dpkg/status")


def bill(name: str, dpkg_status: Path = DPKG_STATUS) -> dict[str, Any]:
    """The document for the image `name`; `dpkg_status` is dpkg's list of packages, which may be missing."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name}},
        "components": [*_python_packages(), *_debian_packages(dpkg_status)],
    }


def _python_packages() -> list[dict[str, Any]]:
    found = {}
    for package in distributions():
        name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
        entry = _component(name, package.version, f"pkg:pypi/{name}@{quote(package.version)}")
        stated = package.metadata.get("License-Expression") or package.metadata.get("License") or ""
        if stated and "\n" not in stated:  # some put the whole text there
            entry["licenses"] = [{"license": {"name": stated}}]
        found.setdefault(name, entry)
    return [found[name] for name in sorted(found)]


def _debian_packages(status: Path) -> list[dict[str, Any]]:
    if not status.is_file():
        return []
    found = []
    for paragraph in status.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            where = f"pkg:deb/debian/{name}@{quote(version)}?arch={fields.get('Architecture', 'all')}"
            found.append(_component(name, version, where))
    return found


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


if __name__ == "__main__":
    json.dump(bill(sys.argv[1]), sys.stdout, indent=1)
