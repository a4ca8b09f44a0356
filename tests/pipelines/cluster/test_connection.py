"""Ways to a Kubeflow Pipelines server: tokens, cookies, headers, certificates, proxies, login pages, namespaces."""

from __future__ import annotations

import base64
import json
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from faceforge.errors import FaceForgeError
from pipelines.cli.pipeline import pipeline
from pipelines.cli.retrain import retrain
from pipelines.cli.schedule import schedule
from pipelines.cluster.credentials import read_credentials
from tests.pipelines.kfp_server import SimulatedServer


def runs(*arguments: str) -> Result:
    return CliRunner().invoke(pipeline, ["runs", *arguments])


def error(result: Result) -> str:
    assert result.exit_code == 2, result.output
    (line,) = result.output.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (pipeline, "submit --detach"),
        (pipeline, "runs"),
        (pipeline, "watch r-1"),
        (pipeline, "logs r-1"),
        (pipeline, "retry r-1"),
        (pipeline, "terminate r-1"),
        (retrain, "toyfaces --detach"),
        (schedule, "list"),
        (schedule, "set --cron @daily"),
        (schedule, "pause retrain"),
    ],
)
def test_a_login_page_with_status_200_is_an_error_everywhere(
    server: SimulatedServer, command: Callable[..., None], arguments: str
) -> None:
    server.required_headers = {"Cookie": "session=abc"}
    result = CliRunner().invoke(command, arguments.split())  # type: ignore[arg-type]
    assert "answered with text/html instead of JSON, perhaps a login page" in error(result)


def test_a_login_that_expires_before_the_submission_is_an_error(server: SimulatedServer) -> None:
    def expire(request: str) -> None:
        if request == "POST /apis/v2beta1/runs":
            server.required_headers = {"Cookie": "session=abc"}

    server.before = expire
    assert "login page" in error(CliRunner().invoke(pipeline, ["submit", "--detach"]))


def test_cookies_and_headers_are_sent(server: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.required_headers = {
        "Cookie": "authservice_session=abc",
        "kubeflow-userid": "anna@x.org",
        "X-Team": "a",
    }
    monkeypatch.setenv("KF_PIPELINES_COOKIES", "authservice_session=abc\n")
    monkeypatch.setenv("KF_PIPELINES_HEADERS", "kubeflow-userid: anna@x.org; X-Team: a")
    assert runs().exit_code == 0


@pytest.mark.parametrize("value", ["s3cret\n", "  s3cret "])
def test_white_space_around_a_token_is_dropped(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    server.token = "s3cret"
    monkeypatch.setenv("KF_PIPELINES_TOKEN", value)
    assert runs().exit_code == 0


def test_a_token_with_a_line_break_is_refused_without_printing_it(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "s3c\nret")
    line = error(runs())
    assert "KF_PIPELINES_TOKEN contains a line break" in line
    assert "s3c" not in line


def test_a_token_file_may_be_rewritten_and_must_not_be_empty(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(path))
    assert f"token file {path} cannot be read" in error(runs())
    path.write_text("")
    assert f"token file {path} is empty" in error(runs())
    path.write_text("one\n")
    server.token, server.states = "one", ["RUNNING", "RUNNING", "SUCCEEDED"]

    def rotate(request: str) -> None:
        if request == "GET /apis/v2beta1/runs/r-1":
            server.token = path.read_text().strip()  # what the client sent with this call
            path.write_text(f"token-{server.polls}\n")

    server.before = rotate
    assert CliRunner().invoke(pipeline, ["submit", "--every", "0.01"]).exit_code == 0


@pytest.mark.parametrize("value", ["kubeflow-userid", "a b: c", ": x"])
def test_headers_of_another_form_are_refused(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("KF_PIPELINES_HEADERS", value)
    assert "KF_PIPELINES_HEADERS is not of the form" in error(runs())


def test_a_private_certificate_authority(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    variables = ("KF_PIPELINES_SSL_CA_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    with tls_in_front(server.url, tmp_path) as address:
        line = error(runs("--endpoint", address))
        assert "set KF_PIPELINES_SSL_CA_CERT" in line
        for name in variables:
            with monkeypatch.context() as patch:
                patch.setenv(name, str(tmp_path / "cert.pem"))
                result = runs("--endpoint", address)
                assert result.exit_code == 0, result.output
    monkeypatch.setenv("KF_PIPELINES_SSL_CA_CERT", "/nowhere.pem")
    assert "KF_PIPELINES_SSL_CA_CERT: /nowhere.pem is not a file" in error(runs())


def test_a_proxy_carries_every_call_unless_excluded(server: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(server) as (address, requests):
        monkeypatch.setenv("HTTP_PROXY", address)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        assert runs("--endpoint", "http://kfp.corp.example").exit_code == 0
        assert len(requests) == 2, "the health check and the listing"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert runs().exit_code == 0
        assert len(requests) == 2
    monkeypatch.setenv("HTTP_PROXY", "http://user:s3cret@127.0.0.1:9")
    line = error(runs("--endpoint", "http://kfp.corp.example"))
    assert "the proxy http://127.0.0.1:9" in line
    assert "s3cret" not in line


def test_a_multi_user_server_needs_a_namespace(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    server.multi_user, server.forbidden = True, {"theirs"}
    assert "give --namespace" in error(runs())
    assert "403" in error(runs("--namespace", "theirs"))
    assert runs("--namespace", "faces").exit_code == 0
    monkeypatch.setenv("KF_PIPELINES_NAMESPACE", "theirs")
    assert "403" in error(runs())
    monkeypatch.delenv("KF_PIPELINES_NAMESPACE")
    claims = base64.urlsafe_b64encode(json.dumps({"kubernetes.io": {"namespace": "theirs"}}).encode()).decode()
    monkeypatch.setenv("KF_PIPELINES_TOKEN", f"header.{claims.rstrip('=')}.signature")
    assert "403" in error(runs()), "the namespace of the service account that the token was issued to"


def test_a_saved_namespace_of_kfp_is_used_and_reported(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context = tmp_path / "context.json"
    context.write_text(json.dumps({"namespace": "faces"}))
    monkeypatch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", str(context))
    server.multi_user = True
    result = CliRunner().invoke(pipeline, ["submit", "--detach"])
    assert result.exit_code == 0
    assert f"namespace faces, saved in {context}" in result.output
    assert next(iter(server.experiments.values()))["namespace"] == "faces"
    server.multi_user = False
    assert CliRunner().invoke(pipeline, ["submit", "--detach", "--experiment", "other"]).exit_code == 0
    assert not list(server.experiments.values())[1].get("namespace"), "a single-user server has no namespaces"


def test_an_archived_experiment_is_refused(server: SimulatedServer) -> None:
    server.experiments["e-77"] = {"experiment_id": "e-77", "display_name": "faceforge", "storage_state": "ARCHIVED"}
    assert "experiment 'faceforge' is archived; restore it" in error(
        CliRunner().invoke(pipeline, ["submit", "--detach"])
    )
    assert not server.submitted


def test_a_missing_token_file_is_only_an_error_where_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_credentials("http://kfp.example").token_file is None
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", "/nowhere")
    with pytest.raises(FaceForgeError, match="/nowhere cannot be read"):
        read_credentials("http://kfp.example").refresh_api_key_hook(None)


@contextmanager
def tls_in_front(url: str, folder: Path) -> Iterator[str]:
    """A TLS server with a certificate of its own that passes bytes on to an HTTP server."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def relay(client: ssl.SSLSocket, backend: socket.socket) -> None:
        # One thread for both directions: two threads must not use a TLS socket at the same time.
        with suppress(OSError), client, backend:
            while True:
                ready = [client] if client.pending() else select.select([client, backend], [], [])[0]
                for source in ready:
                    if not (data := source.recv(65536)):
                        return
                    (backend if source is client else client).sendall(data)

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                client = context.wrap_socket(listener.accept()[0], server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            backend = socket.create_connection(("127.0.0.1", urlsplit(url).port or 80))
            threading.Thread(target=relay, args=(client, backend), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"https://localhost:{listener.getsockname()[1]}"


@contextmanager
def proxy(server: SimulatedServer) -> Iterator[tuple[str, list[str]]]:
    """A forward proxy that answers for every host with the simulated server; the requests that it has seen."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            requests.append(self.path)
            parts = urlsplit(self.path)
            answer = server.handle(self.command, f"{parts.path}?{parts.query}", b"", self.headers)
            assert answer is not None
            payload = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", requests
        http.shutdown()
