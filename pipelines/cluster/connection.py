"""Connecting to a Kubeflow Pipelines server, with an error of one line where that fails."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError
from pipelines.cluster.api import LoginPageError, api_errors, silenced
from pipelines.cluster.credentials import CA_FILE, COOKIES, Credentials, read_credentials, read_token
from pipelines.cluster.server import ENDPOINT, NAMESPACE, TOKEN, Server

if TYPE_CHECKING:
    from kfp import Client

_TIMEOUT_SECONDS = 10
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def connect(server: Server) -> Client:
    """A kfp client of a server that has answered a health check; it knows the namespace (`namespace_of`).

    On a multi-user installation, the namespace is the first that is set of: `server`, KF_PIPELINES_NAMESPACE, kfp's
    saved context, the token's service account, this pod.

    Raises:
        FaceForgeError: no endpoint is set, nothing answers there, it denies access, or a namespace is missing.
    """
    client, health = open_client(server)
    if not health.get("multi_user"):
        client._context_setting["namespace"] = server.namespace
    elif not namespace_of(client):
        raise FaceForgeError(
            f"Kubeflow Pipelines at {server.address} is a multi-user installation: give --namespace, the name of your "
            f"profile{_candidates()}"
        )
    return client


def open_client(server: Server) -> tuple[Client, dict[str, Any]]:
    """A kfp client and the server's health response; a multi-user server's namespace may be missing.

    The health check goes through the client's own connection: what it reaches, later calls reach too.

    Raises:
        FaceForgeError: no endpoint is set, nothing answers there, or it denies access.
    """
    credentials = read_credentials(server.address)
    client = _make_client(server.address, credentials)
    health = _check_health(client, server.address, credentials)
    saved = client.get_user_namespace()
    chosen = server.namespace or os.environ.get(NAMESPACE, "")
    if health.get("multi_user") and not chosen and saved:
        print(f"namespace {saved}, saved in {client._LOCAL_KFP_CONTEXT}", file=sys.stderr, flush=True)
    client._context_setting["namespace"] = chosen or saved or _token_namespace(credentials) or _pod_namespace()
    return client, health


def namespace_of(client: Client) -> str | None:
    """The namespace of a client's calls; None on a single-user installation."""
    return client.get_user_namespace() or None


def _check_health(client: Client, address: str, credentials: Credentials) -> dict[str, Any]:
    """The server's health response as JSON (the generated client's model drops the version).

    Raises:
        FaceForgeError: the server does not answer, denies access, or is something else.
    """
    try:
        with api_errors(f"Kubeflow Pipelines at {address}"), silenced():
            response = client._healthz_api.healthz_service_get_healthz(
                _preload_content=False, _request_timeout=_TIMEOUT_SECONDS
            )
            health: dict[str, Any] = json.loads(response.data)
            return health
    except LoginPageError:
        raise
    except FaceForgeError as error:
        raise type(error)(f"{error}; {_advice(str(error), credentials)}") from None


def _advice(problem: str, credentials: Credentials) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in problem:
        return f"set {CA_FILE} to a file with the certificate of your certificate authority"
    if credentials.proxy:
        return f"check {ENDPOINT} and the proxy {credentials.proxy_name} (NO_PROXY excludes hosts)"
    return f"check {ENDPOINT} and the port-forward"


def _make_client(address: str, credentials: Credentials) -> Client:
    with api_errors(f"Kubeflow Pipelines at {address}"), silenced():
        import kfp

        class Client(kfp.Client):
            def _load_config(self, *arguments: Any, **values: Any) -> Any:
                config = super()._load_config(*arguments, **values)
                config.retries = False  # repeated by `with_retries`; and redirects to a login page are errors
                return config

            def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:  # the constructor would retry for 25 seconds
                return self._healthz_api.healthz_service_get_healthz(_request_timeout=_TIMEOUT_SECONDS)

        client = Client(
            host=address,
            existing_token=credentials.token,
            credentials=credentials if credentials.token_file else None,
            cookies=credentials.cookies,
            ssl_ca_cert=credentials.ca_file,
            proxy=credentials.proxy,
            namespace="unset",  # otherwise the constructor asks the server; `connect` sets it
        )
    client._load_context_setting_or_default()
    api_client = client.runs.api_client
    api_client.default_headers.update(credentials.headers)
    api_client.rest_client.request = _json_only(api_client.rest_client.request, address)
    return client


def _json_only(request: Any, address: str) -> Any:
    """Wraps the client's HTTP calls: a response that is not JSON comes from something in front of the API."""

    import kfp_server_api

    def checked(method: str, url: str, **options: Any) -> Any:
        try:
            response = request(method, url, **options)
        except kfp_server_api.ApiException as error:
            error.body = error.body or b""  # the generated client decodes it also for TLS errors, which have none
            raise
        headers = getattr(response, "headers", None) or response.urllib3_response.headers
        kind = str(headers.get("Content-Type", "")).partition(";")[0]
        if kind == "text/html" or not (kind.endswith("json") or url.endswith("/log")):
            raise LoginPageError(
                f"Kubeflow Pipelines at {address} answered with {kind or 'no content type'} instead of JSON, perhaps a "
                f"login page; set {TOKEN} or {COOKIES}, and check {ENDPOINT}"
            )
        return response

    return checked


def _token_namespace(credentials: Credentials) -> str:
    """Namespace of the service account that a token was issued to; '' for other tokens."""
    token = credentials.token or (read_token(credentials.token_file) if credentials.token_file else "")
    payload = [*token.split("."), ""][1] if "." in token else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["kubernetes.io"]["namespace"])
    except (ValueError, KeyError, TypeError):
        return ""


def _pod_namespace() -> str:
    return _POD_NAMESPACE.read_text(encoding="utf-8").strip() if _POD_NAMESPACE.is_file() else ""


def _candidates() -> str:
    """Names of the profiles, where Kubernetes may be asked."""
    from pipelines.cluster.kubernetes import connect_kubernetes

    try:
        from kubernetes import client

        label = "app.kubernetes.io/part-of=kubeflow-profile"
        api = client.CoreV1Api(connect_kubernetes())
        names = [one.metadata.name for one in api.list_namespace(label_selector=label, _request_timeout=5).items]
    except Exception:  # no access to Kubernetes: the message works without candidates
        return ""
    return f" ({', '.join(names)})" if names else ""
