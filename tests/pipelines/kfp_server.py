"""SIMULATED Kubeflow Pipelines API server (v2beta1) over HTTP, built from the generated API models.

What it stores and returns goes through the models of `kfp_server_api`: a field that the real API does not have is an
error here. It can fail at any call, before or after having done what was asked. Where its behaviour is surprising, the
source of the real server (kubeflow/pipelines 2.17.0, argoproj/argo-workflows 4.0.5) is named.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import kfp_server_api as api
import yaml

from tests.pipelines.argo import pod_name

Json = dict[str, Any]
LOGIN_PAGE = "<!doctype html><html><title>Sign in</title></html>"
CUT_BEFORE, CUT_AFTER = "cut before", "cut after"


class Refused(Exception):
    """A response other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class LoginRequiredError(Exception):
    """The response is the login page."""


@dataclass
class SimulatedServer:
    """SIMULATED API server.

    Attributes:
        states: states of a run, one per `GET`; the last one stays. An int is sent as HTTP status, `LOGIN_PAGE` as HTML.
        states_of: state of a run by its id, whatever `states` says.
        tasks: per `GET` of a run, state by task name; the last one stays.
        token: if set, requests without it are refused with 401.
        required_headers: requests without these get the login page, with status 200.
        workflow: Argo workflow of every run, see `workflow`.
        logs: archived log of each pod by its name.
        forbidden: namespaces refused with 403.
        fail_at: number of the changing call (0 = first) from which on the server is gone, or None.
        failure: an HTTP status, or `CUT_BEFORE` / `CUT_AFTER` doing what was asked; the connection breaks then.
        lasting: the server stays gone after `fail_at`; else only that one call fails.
        calls: every changing request as "METHOD path".
        before: called with "METHOD path" before a request is worked on, outside the lock.
    """

    url: str = ""
    states: list[str | int] = field(default_factory=lambda: ["SUCCEEDED"])
    states_of: dict[str, str] = field(default_factory=dict)
    tasks: list[dict[str, str]] = field(default_factory=lambda: [{}])
    error: str = ""
    token: str = ""
    required_headers: dict[str, str] = field(default_factory=dict)
    workflow: Json = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    multi_user: bool = False
    version: str = "2.17.0"
    forbidden: set[str] = field(default_factory=set)
    fail_at: int | None = None
    failure: str | int = 503
    lasting: bool = True
    calls: list[str] = field(default_factory=list)
    polls: int = 0
    experiments: dict[str, Json] = field(default_factory=dict)
    pipelines: dict[str, Json] = field(default_factory=dict)
    versions: dict[str, Json] = field(default_factory=dict)
    runs: dict[str, Json] = field(default_factory=dict)
    deleted_workflows: set[str] = field(default_factory=set)
    orphaned: set[str] = field(default_factory=set)
    recurring: dict[str, Json] = field(default_factory=dict)
    before: Callable[[str], None] | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def submitted(self) -> list[Json]:
        """Runs in the order of their creation."""
        return list(self.runs.values())

    def active(self, name: str) -> list[Json]:
        """Recurring runs of a name that fire."""
        return [one for one in self.recurring.values() if one["display_name"] == name and one["status"] == "ENABLED"]

    def copies(self, name: str) -> list[Json]:
        """All recurring runs of a name."""
        return [one for one in self.recurring.values() if one["display_name"] == name]

    def handle(self, method: str, target: str, body: bytes, headers: Any) -> tuple[int, Json | str] | None:
        """Status and JSON or text for a request; None: the connection breaks."""
        parts = urlsplit(target)
        path, query = unquote(parts.path), {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.before:
            self.before(f"{method} {path}")
        if any(headers.get(name) != value for name, value in self.required_headers.items()):
            return 200, LOGIN_PAGE
        with self.lock:
            if self.token and headers.get("Authorization") != f"Bearer {self.token}":
                return 401, {"message": "unauthorised"}
            failing = False
            if method != "GET":
                self.calls.append(f"{method} {path}")
            if self.fail_at is not None:
                number = len(self.calls) - 1
                failing = number == self.fail_at if not self.lasting else number >= self.fail_at
                failing = failing and (method != "GET" or self.lasting)
            if failing and self.failure != CUT_AFTER:
                return None if self.failure == CUT_BEFORE else (int(self.failure), {"message": "simulated"})
            if failing and number > (self.fail_at or 0):
                return None
            try:
                answer: tuple[int, Json | str] = (200, self._answer(method, path, query, body, headers))
            except LoginRequiredError:
                return 200, LOGIN_PAGE
            except Refused as refusal:
                answer = refusal.status, {"message": str(refusal)}
            return None if failing and method != "GET" else answer

    def _answer(self, method: str, path: str, query: dict[str, str], body: bytes, headers: Any) -> Json | str:
        if found := re.fullmatch("/apis/v1beta1/runs/([^/]+)", path):
            return self._run_detail(found[1])
        if found := re.fullmatch("/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log", path):
            return self._log(*found.groups())
        path = path.removeprefix("/apis/v2beta1/")
        for pattern, allowed, action in _ROUTES:
            if method == allowed and (found := re.fullmatch(pattern, path)):
                if path.startswith("pipelines/upload"):
                    return action(self, query, _uploaded(body, headers))
                content = json.loads(body) if body else {}
                return action(self, *found.groups(), query if method in ("GET", "DELETE") else content)
        raise Refused(404, f"simulated server does not know {method} {path}")

    # -- experiments ------------------------------------------------------------------------------------------------

    def _healthz(self, query: Json) -> Json:
        return {"tag_name": self.version, "multi_user": self.multi_user}  # more than the API's model has

    def _list_experiments(self, query: Json) -> Json:
        self._check_namespace(query.get("namespace", ""))
        return _page(self.experiments.values(), "experiments", query)

    def _create_experiment(self, content: Json) -> Json:
        same = ("display_name", "namespace")
        if any(all(one.get(key) == content.get(key) for key in same) for one in self.experiments.values()):
            raise Refused(409, f"experiment {content['display_name']} already exists")
        made = _checked(api.V2beta1Experiment, {"experiment_id": self._id("e"), **content})
        self.experiments[made["experiment_id"]] = made
        return made

    # -- pipelines --------------------------------------------------------------------------------------------------

    def _list_pipelines(self, query: Json) -> Json:
        if query.get("namespace"):  # without one, those that all share
            self._check_namespace(query["namespace"])
        return _page(self.pipelines.values(), "pipelines", query)

    def _create_pipeline(self, content: Json) -> Json:
        if any(one["display_name"] == content["display_name"] for one in self.pipelines.values()):
            raise Refused(409, f"Pipeline {content['display_name']} already exists")
        made = _checked(api.V2beta1Pipeline, {"pipeline_id": self._id("p"), "created_at": self._now(), **content})
        self.pipelines[made["pipeline_id"]] = made
        return made

    def _upload_version(self, query: Json, package: str) -> Json:
        of = [one for one in self.versions.values() if one["pipeline_id"] == query["pipelineid"]]
        if any(one["display_name"] == query["name"] for one in of):
            raise Refused(409, f"version {query['name']} already exists")
        spec, *platform = list(yaml.safe_load_all(package))
        made = _checked(
            api.V2beta1PipelineVersion,
            {
                "pipeline_id": query["pipelineid"],
                "pipeline_version_id": self._id("v"),
                "display_name": query["name"],
                "description": query.get("description", ""),
                "created_at": self._now(),
                "pipeline_spec": {"pipeline_spec": spec, "platform_spec": platform[0]} if platform else spec,
            },
        )
        self.versions[made["pipeline_version_id"]] = made
        return made

    def _list_versions(self, pipeline: str, query: Json) -> Json:
        of = [one for one in self.versions.values() if one["pipeline_id"] == pipeline]
        return _page(of, "pipeline_versions", query)

    # -- runs -------------------------------------------------------------------------------------------------------

    def _create_run(self, content: Json) -> Json:
        self._check_source(content)
        made = _checked(
            api.V2beta1Run,
            {"run_id": f"r-{len(self.runs) + 1}", "state": "PENDING", "created_at": self._now(), **content},
        )
        self.runs[made["run_id"]] = made
        return made

    def _list_runs(self, query: Json) -> Json:
        self._check_namespace(query.get("namespace", ""))
        newest = sorted(self.runs.values(), key=lambda run: run["run_id"], reverse=True)
        return _page(newest, "runs", query)

    def _get_run(self, run_id: str, query: Json) -> Json:
        run = self._known(self.runs, run_id)
        state = self.states_of.get(run_id) or self.states[min(self.polls, len(self.states) - 1)]
        tasks = self.tasks[min(self.polls, len(self.tasks) - 1)]
        self.polls += 1
        if isinstance(state, int):
            raise Refused(state, "simulated")
        if state == LOGIN_PAGE:
            raise LoginRequiredError
        if run["state"] == "CANCELING":
            # Argo ends a terminated workflow (activeDeadlineSeconds 0) as Failed: workflow/controller/operator.go;
            # KFP maps Failed to FAILED, whatever the state was before: backend/src/apiserver/model/run.go.
            run["state"] = "FAILED"
        elif run_id not in self.deleted_workflows:  # nothing reports a deleted workflow: its run keeps its last state
            run["state"] = state
        self._remember(run)
        run["run_details"] = {"task_details": [self._task(run, name, is_now) for name, is_now in tasks.items()]}
        if self.error:
            run["error"] = {"message": self.error}
        return _checked(api.V2beta1Run, run)

    def _remember(self, run: Json) -> None:
        history = run.setdefault("state_history", [])
        if not history or history[-1]["state"] != run["state"]:
            history.append({"state": run["state"], "update_time": self._now()})

    def _task(self, run: Json, name: str, state: str) -> Json:
        """A retry leaves the states and times of all tasks as they were until the workflow is reported again."""
        old: Json = next(
            (one for one in run.get("run_details", {}).get("task_details", ()) if one["task_id"] == name), {}
        )
        if old.get("state") == state:
            return old
        ended = {} if state in ("PENDING", "RUNNING") else {"end_time": self._now()}
        return {"display_name": name, "task_id": name, "state": state, "create_time": self._now(), **ended}

    def _run_detail(self, run_id: str) -> Json:
        """v1beta1: with the workflow as last reported (toApiRunDetailV1 of apiserver/server/api_converter.go)."""
        run = self._known(self.runs, run_id)
        content = json.loads(json.dumps(self.workflow)) or {"metadata": {}}
        if run.get("recurring_run_id") and run_id not in self.orphaned:
            content["metadata"]["ownerReferences"] = [{"kind": "ScheduledWorkflow"}]
        return {"run": {"id": run_id}, "pipeline_runtime": {"workflow_manifest": json.dumps(content)}}

    def _log(self, run_id: str, pod: str) -> str:
        """An error comes with status 200 as JSON, after what was read (apiserver/server/run_log_server.go).

        Logs of running pods are never found: a single-user server looks for them in namespace ''
        (GetNamespaceFromExperimentId of apiserver/resource/resource_manager.go).
        """
        self._known(self.runs, run_id)
        nodes = self.workflow.get("status", {}).get("nodes", {}).values()
        running = {pod_name(one) for one in nodes if one["phase"] == "Running"}
        if pod in self.logs and pod not in running:
            return self.logs[pod]
        return json.dumps({"error_message": f"Failed to read logs for run {run_id}: pods {pod!r} not found"})

    def _terminate(self, run_id: str, content: Json) -> Json:
        run = self._known(self.runs, run_id)
        if run["state"] in ("SUCCEEDED", "FAILED", "CANCELED"):
            raise Refused(400, f"run {run_id} has ended")
        run["state"] = "CANCELING"
        return {}

    def _retry(self, run_id: str, content: Json) -> Json:
        run = self._known(self.runs, run_id)
        if run["state"] not in ("FAILED", "CANCELED"):
            raise Refused(400, f"run {run_id} has not failed")
        run["state"] = "RUNNING"
        self._remember(run)
        return {}

    # -- recurring runs ---------------------------------------------------------------------------------------------

    def _create_recurring(self, content: Json) -> Json:
        self._check_source(content)
        if not 1 <= int(content.get("max_concurrency") or 0) <= 10:
            raise Refused(400, "The max concurrency of the recurring run is out of range. Support 1-10.")
        cron = content["trigger"]["cron_schedule"]["cron"].split()
        if len(cron) not in (5, 6):
            raise Refused(400, "Schedule cron is not a supported format")
        if len(content.get("description", "")) > 255:  # varchar(255): apiserver/model/job.go
            raise Refused(500, "Data too long for column 'Description'")
        made = _checked(
            api.V2beta1RecurringRun,
            {
                "service_account": "pipeline-runner",  # DEFAULTPIPELINERUNNERSERVICEACCOUNT of apiserver/config
                "recurring_run_id": self._id("rr"),
                "created_at": self._now(),
                "status": "ENABLED" if content.get("mode") == "ENABLE" else "DISABLED",
                **content,
            },
        )
        self.recurring[made["recurring_run_id"]] = made
        return made

    def _list_recurring(self, query: Json) -> Json:
        self._check_namespace(query.get("namespace", ""))
        return _page(self.recurring.values(), "recurringRuns", query)

    def _get_recurring(self, recurring: str, query: Json) -> Json:
        return self._known(self.recurring, recurring)

    def _delete_recurring(self, recurring: str, query: Json) -> Json:
        """Workflows are owned by their recurring run, so Kubernetes deletes them with it unless the policy is ORPHAN
        (DeleteJob of apiserver/resource/resource_manager.go; SetOwnerReferences of the scheduled workflow controller).
        """
        self._known(self.recurring, recurring)
        del self.recurring[recurring]
        owned = {one["run_id"] for one in self.runs.values() if one.get("recurring_run_id") == recurring}
        orphan = query.get("propagation_policy") == "ORPHAN"
        (self.orphaned if orphan else self.deleted_workflows).update(owned)
        return {}

    def fire(self, recurring: str) -> str:
        """Starts a run of a recurring run, as the scheduled workflow controller does; returns its id."""
        run_id = f"r-{len(self.runs) + 1}"
        self.runs[run_id] = {
            "run_id": run_id,
            "display_name": f"{self.recurring[recurring]['display_name']} run",
            "state": "RUNNING",
            "created_at": self._now(),
            "recurring_run_id": recurring,
        }
        return run_id

    def _switch_recurring(self, recurring: str, to: str, content: Json) -> Json:
        """Enabling one fires the last tick that passed while it was disabled, also with no_catchup
        (GetNextScheduledTimeNoCatchup of crd/controller/scheduledworkflow/util/cron_schedule.go).
        """
        if to == "enable":
            self.fire(recurring)
        self._known(self.recurring, recurring)["status"] = to.upper() + "D"
        return {}

    # -- what they share --------------------------------------------------------------------------------------------

    def _check_source(self, content: Json) -> None:
        if content.get("experiment_id") not in self.experiments:
            raise Refused(404, "experiment not found")
        reference = content.get("pipeline_version_reference") or {}
        if not content.get("pipeline_spec") and reference.get("pipeline_version_id") not in self.versions:
            raise Refused(404, "pipeline version not found")

    def _check_namespace(self, namespace: str) -> None:
        if self.multi_user and not namespace:
            raise Refused(400, "cannot have an empty namespace in multi-user mode")
        if namespace in self.forbidden:
            raise Refused(403, f"not authorised in namespace {namespace}")

    def _known(self, where: dict[str, Json], identifier: str) -> Json:
        if identifier not in where:
            raise Refused(404, f"{identifier} not found")
        return where[identifier]

    def _id(self, kind: str) -> str:
        return f"{kind}-{next(self._ids)}"

    def _now(self) -> str:
        return datetime.now(UTC).replace(microsecond=0).isoformat()  # seconds, as the real one


_ROUTES: list[tuple[str, str, Callable[..., Json]]] = [
    ("healthz", "GET", SimulatedServer._healthz),
    ("experiments", "GET", SimulatedServer._list_experiments),
    ("experiments", "POST", SimulatedServer._create_experiment),
    ("pipelines", "GET", SimulatedServer._list_pipelines),
    ("pipelines", "POST", SimulatedServer._create_pipeline),
    ("pipelines/upload_version", "POST", SimulatedServer._upload_version),
    ("pipelines/([^/]+)/versions", "GET", SimulatedServer._list_versions),
    ("runs", "POST", SimulatedServer._create_run),
    ("runs", "GET", SimulatedServer._list_runs),
    ("runs/([^/:]+)", "GET", SimulatedServer._get_run),
    ("runs/([^/:]+):terminate", "POST", SimulatedServer._terminate),
    ("runs/([^/:]+):retry", "POST", SimulatedServer._retry),
    ("recurringruns", "POST", SimulatedServer._create_recurring),
    ("recurringruns", "GET", SimulatedServer._list_recurring),
    ("recurringruns/([^/:]+)", "GET", SimulatedServer._get_recurring),
    ("recurringruns/([^/:]+)", "DELETE", SimulatedServer._delete_recurring),
    ("recurringruns/([^/:]+):(enable|disable)", "POST", SimulatedServer._switch_recurring),
]


def _checked(model: type[Any], content: Json) -> Json:
    """`content` as a client reads it; fields that the API does not have are an error."""
    unknown = set(content) - set(model.openapi_types)
    if unknown:
        raise Refused(400, f"{model.__name__} has no {', '.join(sorted(unknown))}")
    model(**content)
    return content


def _page(members: Any, name: str, query: Json) -> Json:
    wanted = list(members)
    for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
        assert predicate["operation"] in (1, "EQUALS"), predicate
        key, value = predicate["key"], predicate.get("stringValue", predicate.get("string_value"))
        key = "display_name" if key == "name" else key
        wanted = [one for one in wanted if one.get(key) == value]
    size, start = int(query.get("page_size") or 10), int(query.get("page_token") or 0)
    more = {"next_page_token": str(start + size)} if start + size < len(wanted) else {}
    return {name: wanted[start : start + size], "total_size": len(wanted), **more}


def _uploaded(body: bytes, headers: Any) -> str:
    form = message_from_bytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body)
    part = next(part for part in form.walk() if "uploadfile" in str(part.get("Content-Disposition")))
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()
