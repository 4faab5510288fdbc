"""What watches a site in operation names only what exists, and the runbook leaves no alert unexplained."""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from operators.records import CrosscamError
from pipeline.cli.serve import TOKEN
from pipeline.metrics.catalogue import ALL, Metric
from pipeline.metrics.served import SERVED

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
KNOWN = {metric.exported: metric for metric in (*ALL, *SERVED)}


def read(path: str) -> Any:
    return YAML(typ="safe").load(DEPLOY / path)


def dashboard() -> list[tuple[str, str]]:
    """Title and expression of every target."""
    panels = json.loads((DEPLOY / "grafana" / "crosscam.json").read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", ())]


def alerts() -> list[Mapping[str, Any]]:
    return [rule for group in read("prometheus/alerts.yaml")["groups"] for rule in group["rules"]]


def metrics_in(expression: str) -> Iterator[tuple[Metric, str]]:
    """The metrics of an expression, each with the part of a histogram that is asked for."""
    for name in re.findall(r"(?:ray_)?crosscam_\w+", expression):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert base in KNOWN, f"{name} is no metric of pipeline/metrics"
        yield KNOWN[base], name.removeprefix(base)


def jobs() -> dict[str, Any]:
    """What Prometheus scrapes, by name."""
    return {job["job_name"]: job for job in read("prometheus/prometheus.yaml")["scrape_configs"]}


EXPRESSIONS = [*dashboard(), *((rule["alert"], rule["expr"]) for rule in alerts())]


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_an_expression_uses_metrics_as_what_they_are(title: str, expression: str) -> None:
    found = list(metrics_in(expression))
    asked = set(re.findall(r'\bup\{job="(.*?)"\}', expression))
    assert asked <= set(jobs()), title
    assert found or asked, title
    for metric, part in found:
        assert bool(part) == (metric.kind == "histogram"), f"{title}: {metric.name} is a {metric.kind}"
        grows = re.search(rf"(rate|increase)\({metric.exported}", expression)
        assert bool(grows) == (metric.kind != "gauge"), f"{title}: {metric.name} is a {metric.kind}"
    tags = set(re.findall(r"(\w+)(?:!=|=~|=)\"", expression))
    for grouped in re.findall(r"(?:by|ignoring) \((.*?)\)", expression):
        tags |= set(grouped.split(", "))
    assert tags <= {"site", "le", *(["job"] if asked else []), *(tag for metric, _ in found for tag in metric.tags)}, (
        title
    )


def test_the_dashboard_shows_every_metric() -> None:
    shown = {metric.name for _, expression in dashboard() for metric, _ in metrics_in(expression)}
    assert {metric.name for metric in KNOWN.values()} - shown == set()


def test_panels_do_not_overlap() -> None:
    panels = json.loads((DEPLOY / "grafana" / "crosscam.json").read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_alert_says_whom_it_concerns_and_is_in_the_runbook() -> None:
    explained = set(re.findall(r"^\| (Crosscam\w+) \|", (DEPLOY / "RUNBOOK.md").read_text(), re.MULTILINE))
    assert explained == {rule["alert"] for rule in alerts()}
    for rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        whom = "$labels.instance" if rule["expr"].startswith("up{") else "$labels.site"
        assert whom in rule["annotations"]["summary"]


def test_the_runbook_is_one_page_and_names_files_that_exist() -> None:
    text = (DEPLOY / "RUNBOOK.md").read_text()
    assert len(text.splitlines()) <= 100
    for name in re.findall(r"deploy/[\w./]*\w", text):
        assert (DEPLOY.parent / name).exists(), name


def test_compose_starts_what_is_there() -> None:
    composed = read("compose.yaml")
    services, stages = (
        composed["services"],
        set(re.findall(r"^FROM .* AS (\w+)$", (DEPLOY / "Dockerfile").read_text(), re.M)),
    )
    assert set(services) == {"kafka", "head", "worker", "site", "serve", "prometheus", "grafana"}
    for name, service in services.items():
        assert "build" in service or ":" in service["image"], f"{name}: an image without a version"
        if "build" in service:
            assert service["build"]["target"] in stages
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert set(service.get("depends_on", ())) <= set(services)
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), f"{name}: open to everybody"
        for volume in service.get("volumes", ()):
            source = re.sub(r"^\$\{\w+:-(.*?)\}", r"\1", volume).split(":")[0]
            assert source in composed["volumes"] or (DEPLOY / source).exists(), volume
    ports = {
        f"{name}:8080"
        for name, service in services.items()
        if "--metrics-export-port=8080" in str(service.get("command"))
    }
    assert set(jobs()["ray"]["static_configs"][0]["targets"]) == ports


def test_prometheus_reaches_the_service_by_its_token() -> None:
    composed, job = read("compose.yaml"), jobs()["crosscam-serve"]
    service, prometheus = composed["services"]["serve"], composed["services"]["prometheus"]
    (port,) = re.findall(r"crosscam serve .* --host 0\.0\.0\.0 --port (\d+)$", service["command"][0])
    assert job["static_configs"] == [{"targets": [f"serve:{port}"]}]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    place, _, secret = job["authorization"]["credentials_file"].rpartition("/")
    assert place == "/run/secrets" and prometheus["secrets"] == [secret]
    assert composed["secrets"][secret] == {"environment": TOKEN}
    assert service["environment"][TOKEN].startswith("${" + TOKEN + ":?"), "it would start without one"


@pytest.mark.parametrize(
    ("file", "kind"),
    [("raycluster", "RayCluster"), ("recordings", "RayJob"), ("service", "RayService"), ("site", "Deployment")],
)
def test_a_manifest_is_whole(file: str, kind: str) -> None:
    manifest = read(f"kuberay/{file}.yaml")
    assert (manifest["kind"], manifest["apiVersion"]) == (kind, "apps/v1" if kind == "Deployment" else "ray.io/v1")
    assert re.fullmatch(r"[a-z][a-z0-9-]*", manifest["metadata"]["name"])
    spec = manifest["spec"]
    if kind == "Deployment":
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        assert spec["strategy"] == {"type": "Recreate"}, "two drivers of one site"
        check_pod(spec["template"])
        return
    if kind == "RayJob":
        assert spec["shutdownAfterJobFinishes"] or not spec.get("ttlSecondsAfterFinished")
        assert ("rayClusterSpec" in spec) != ("clusterSelector" in spec)
        spec = spec["rayClusterSpec"]
    if kind == "RayService":
        spec = spec["rayClusterConfig"]
    check_ray_cluster(spec)


def test_the_service_is_an_application_that_ray_serve_can_build_and_that_asks_for_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.serve.schema import ServeDeploySchema

    from pipeline.serve.on_ray import site_application

    described = YAML(typ="safe").load(read("kuberay/service.yaml")["spec"]["serveConfigV2"])
    (application,) = ServeDeploySchema.model_validate(described).applications
    module, _, function = application.import_path.partition(":")
    assert getattr(importlib.import_module(module), function) is site_application
    monkeypatch.delenv("CROSSCAM_TOKEN", raising=False)
    with pytest.raises(CrosscamError, match="set CROSSCAM_TOKEN to a secret"):
        site_application(application.args)
    monkeypatch.setenv("CROSSCAM_TOKEN", "0123456789abcdef")
    assert type(site_application(application.args)).__name__ == "Application"
    with pytest.raises(CrosscamError, match=r"args of the Serve file: leger: Extra inputs"):
        site_application({**application.args, "leger": "x"})


@pytest.mark.parametrize("file", ["raycluster", "recordings", "service"])
def test_a_manifest_is_what_kuberay_says_that_it_is(file: str) -> None:
    manifest = read(f"kuberay/{file}.yaml")
    schema = jsonschema.Draft202012Validator(kuberay_schema(manifest["kind"]))
    assert [error.message[:200] for error in schema.iter_errors(manifest)] == []
    (mistake,) = schema.iter_errors({**manifest, "spec": {**manifest["spec"], "shutdownAfterJobFinshes": True}})
    assert "'shutdownAfterJobFinshes' was unexpected" in mistake.message


def kuberay_schema(kind: str) -> Any:
    """The schema of one of KubeRay's resources, closed: what the API server would drop without a word is an error."""
    cache = Path(os.environ.get("GOMODCACHE") or Path.home() / "go" / "pkg" / "mod")
    operator = "github.com/ray-project/kuberay/ray-operator"
    found = sorted(cache.glob(f"{operator}@*/config/crd/bases/ray.io_{kind.lower()}s.yaml"))
    if not found:
        pytest.skip(f"needs KubeRay's schemas: go mod download {operator}@v1.4.2")
    (version,) = (v for v in YAML(typ="safe").load(found[-1])["spec"]["versions"] if v["name"] == "v1")
    return closed(version["schema"]["openAPIV3Schema"])


def closed(schema: Any) -> Any:
    """The schema with no other properties than those that it names."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


def check_ray_cluster(spec: Mapping[str, Any]) -> None:
    import ray

    assert spec["rayVersion"] == ray.__version__
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values()), "the CRD wants strings"
        assert "metrics-export-port" in group["rayStartParams"]
        check_pod(group["template"])
    for group in spec["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert group["groupName"]


def check_pod(template: Mapping[str, Any]) -> None:
    pod = template["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "8080"
    volumes = {volume["name"] for volume in pod.get("volumes", ())}
    for container in pod["containers"]:
        assert container["resources"]["limits"]["memory"], "a container without a limit takes the node with it"
        assert all(isinstance(variable.get("value", ""), str) for variable in container["env"])
        assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes


def test_nothing_that_is_deployed_holds_a_password() -> None:
    for path in DEPLOY.rglob("*.yaml"):
        pairs = r"(?i)\b(\w*(?:password|token|secret)\w*)(?=\s*[:=]\s*([^\s,}]+))"
        for name, value in re.findall(pairs, re.sub(r"\$\{.*?\}", "$", path.read_text())):
            within = value.startswith("{") and value.endswith(":")  # what follows is looked at on its own
            named = re.fullmatch(r"\[\w+\]", value) and name == "secrets"
            assert value == "..." or value.startswith("$") or within or named, f"{path.name}: {name}"
