"""How this machine may reach a Kubeflow Pipelines server: token, cookies, headers, certificate authority, proxy.

All of it comes from environment variables. Nothing that is secret appears in an error message.
"""

from __future__ import annotations

import os
import re
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from faceforge.errors import FaceForgeError
from pipelines.cluster.server import TOKEN, TOKEN_PATH

COOKIES = "KF_PIPELINES_COOKIES"
HEADERS = "KF_PIPELINES_HEADERS"
CA_FILE = "KF_PIPELINES_SSL_CA_CERT"
_CA_VARIABLES = (CA_FILE, "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_MOUNTED_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")


@dataclass(frozen=True)
class Credentials:
    """What is sent with every call, and the way to the server.

    Attributes:
        token: bearer token; None = none is set.
        token_file: file that holds the token and may be rewritten at any time; used if `token` is None.
        cookies: value of the Cookie header, for example `authservice_session=...` behind Dex.
        headers: further headers, for example `kubeflow-userid` behind a proxy that trusts it.
        ca_file: certificates that the server's certificate is checked with; None = those of certifi.
        proxy: address of the HTTP proxy; None = a direct connection.
    """

    token: str | None = None
    token_file: Path | None = None
    cookies: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    ca_file: str | None = None
    proxy: str | None = None

    def refresh_api_key_hook(self, config: Any) -> None:
        """Reads the token file; kfp's client calls this before every request.

        Raises:
            FaceForgeError: the file cannot be read, or is empty.
        """
        config.api_key["authorization"] = read_token(self.token_file or _MOUNTED_TOKEN)

    @property
    def proxy_name(self) -> str:
        """The proxy's address without user and password."""
        parts = urlsplit(self.proxy or "")
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def read_credentials(address: str) -> Credentials:
    """The credentials in the environment for a server at an http(s) address.

    Raises:
        FaceForgeError: a variable has a form that cannot be sent, or names a missing file.
    """
    token = _secret(TOKEN)
    token_file = Path(os.environ[TOKEN_PATH]) if os.environ.get(TOKEN_PATH) else _MOUNTED_TOKEN
    ca_variable = next((name for name in _CA_VARIABLES if os.environ.get(name)), None)
    ca_file = os.environ[ca_variable] if ca_variable else None
    if ca_file and not Path(ca_file).is_file():
        raise FaceForgeError(f"{ca_variable}: {ca_file} is not a file of certificates")
    return Credentials(
        token=token,
        token_file=token_file if not token and (TOKEN_PATH in os.environ or token_file.is_file()) else None,
        cookies=_secret(COOKIES),
        headers=_read_headers(),
        ca_file=ca_file,
        proxy=_proxy(address),
    )


def read_token(path: Path) -> str:
    """The token in a file, without surrounding white space.

    Raises:
        FaceForgeError: the file cannot be read, or is empty.
    """
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FaceForgeError(f"token file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not token:
        raise FaceForgeError(f"token file {path} is empty")
    return token


def _secret(name: str) -> str | None:
    """A variable without surrounding white space (secrets often end in a newline); None if nothing remains."""
    value = os.environ.get(name, "").strip()
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise FaceForgeError(f"{name} contains a line break or another control character; set it again")
    return value or None


def _read_headers() -> dict[str, str]:
    """`NAME: VALUE` pairs, separated by `;`."""
    headers = {}
    for pair in filter(None, (pair.strip() for pair in (_secret(HEADERS) or "").split(";"))):
        name, colon, value = (part.strip() for part in pair.partition(":"))
        if not colon or not value or not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name):
            raise FaceForgeError(f"{HEADERS} is not of the form 'NAME: VALUE; NAME: VALUE'")
        headers[name] = value
    return headers


def _proxy(address: str) -> str | None:
    """The proxy of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, unless NO_PROXY excludes the host."""
    parts = urlsplit(address)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
