"""The compose file and the Dockerfile are what the compose specification and our own rules allow.

No container engine is needed: the files are parsed, held to the specification's JSON Schema (compose-spec/,
Apache-2.0, commit 170098b of github.com/compose-spec/compose-spec), and every file that they name is looked for.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from commonwatt.grafana import secrets
from commonwatt.grafana.source import InfluxSource
from commonwatt.settings import load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCHEMA = json.loads((Path(__file__).parent / "compose-spec" / "compose-spec.json").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
LONG_RUNNING = [name for name, service in SERVICES.items() if service["restart"] != "no"]
OURS = "commonwatt"


def mistakes(compose: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a compose file, by our rules; the specification's come first."""
    for error in jsonschema_rs.validator_for(SCHEMA).iter_errors(compose):
        yield f"{'/'.join(map(str, error.instance_path))}: {error.message}"
    volumes, known_secrets = set(compose.get("volumes", {})), compose.get("secrets", {})
    for name, service in compose["services"].items():
        tag = service.get("image", "").rpartition(":")[2]
        if not re.match(r"\d+\.\d+\.\d+", tag):
            yield f"{name}: the image has no version: {service.get('image')}"
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"] or service.get("privileged"):
            yield f"{name}: may write or has capabilities"
        if "no-new-privileges:true" not in service.get("security_opt", []):
            yield f"{name}: may gain rights"
        user = service.get("user", "")
        if not service["image"].startswith(f"{OURS}:") and not re.fullmatch(r"[1-9]\d*:[1-9]\d*", user):
            yield f"{name}: runs as root, or as whoever the image says: {user!r}"
        if service["restart"] != "no" and "test" not in service.get("healthcheck", {}):
            yield f"{name}: nobody asks how it is"
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable and not str(value).startswith("/run/secrets/"):
                yield f"{name}: a password stands in the file: {variable}"
        for secret in service.get("secrets", []):
            if secret not in known_secrets:
                yield f"{name}: unknown secret {secret}"
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            if not source.startswith(".") and source not in volumes:
                yield f"{name}: unknown volume {source}"
        for needed, how in service.get("depends_on", {}).items():
            other = compose["services"].get(needed, {})
            if how["condition"] == "service_healthy" and "healthcheck" not in other:
                yield f"{name}: waits for {needed}, which never says that it is well"
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:") and name != "broker":
                yield f"{name}: reached from outside at {port}"


def test_compose_when_held_to_the_rules() -> None:
    """Nothing is wrong with it."""
    assert list(mistakes(COMPOSE)) == []
    assert {"grafana", "influxdb", "broker", "aggregator"} == set(LONG_RUNNING)


MUTATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "misspelt key": lambda c: c["services"]["grafana"].update(enviroment={}),
    "no version": lambda c: c["services"]["grafana"].update(image="grafana/grafana:latest"),
    "root": lambda c: c["services"]["broker"].pop("user"),
    "writable": lambda c: c["services"]["influxdb"].update(read_only=False),
    "capability": lambda c: c["services"]["influxdb"].update(cap_drop=["NET_RAW"]),
    "no health check": lambda c: c["services"]["aggregator"].pop("healthcheck"),
    "password in the file": lambda c: c["services"]["influxdb"]["environment"].update(INFLUXDB_ADMIN_PASSWORD="x"),
    "unknown secret": lambda c: c["services"]["grafana"]["secrets"].append("other"),
    "unknown volume": lambda c: c["volumes"].pop("grafana"),
    "waits for nothing": lambda c: c["services"]["broker"].pop("healthcheck"),
    "open to all": lambda c: c["services"]["grafana"].update(ports=["3000:3000"]),
}  # fmt: skip


@pytest.mark.parametrize("mutate", MUTATIONS.values(), ids=MUTATIONS)
def test_rules_when_the_file_is_spoilt(mutate: Callable[[dict[str, Any]], Any]) -> None:
    """Each rule can say no."""
    spoilt = copy.deepcopy(COMPOSE)
    mutate(spoilt)
    assert list(mistakes(spoilt))


def test_files_when_named_by_the_compose_file(tmp_path: Path) -> None:
    """Bind mounts lead somewhere in a clone, and `dashboards secrets` makes every secret that is named."""
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).is_dir(), source
        assert (DEPLOY / service.get("build", {}).get("context", ".")).is_dir()
    secrets.make(tmp_path, influx_url="http://influxdb:8086")
    named = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert named <= {path.name for path in tmp_path.iterdir()}
    for secret in COMPOSE["secrets"].values():
        assert Path(secret["file"]).parent == Path("secrets")


def test_secrets_when_made_and_made_again(tmp_path: Path) -> None:
    """Nobody but the owner gets in, no two are alike, a second run keeps them, and the accounts fit."""
    made = secrets.make(tmp_path / "secrets", influx_url="http://influxdb:8086")
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    contents = {path.name: path.read_text() for path in made}
    passwords = [contents[name] for name in secrets.PASSWORDS]
    assert len(set(passwords)) == len(passwords)
    assert all(len(password) == 2 * secrets.PASSWORD_BYTES for password in passwords)
    assert secrets.make(tmp_path / "secrets", influx_url="http://elsewhere") == []
    assert {path.name: path.read_text() for path in made} == contents
    writer = load(InfluxSource, tmp_path / "secrets" / "influx.toml")
    assert writer.token == f"writer:{contents['influx_write_password']}"
    environment = SERVICES["influxdb"]["environment"]
    assert (environment["INFLUXDB_WRITE_USER"], environment["INFLUXDB_READ_USER"]) == (secrets.WRITER, secrets.READER)
    assert environment["INFLUXDB_DB"] == writer.bucket


def test_provisioning_when_grafana_reads_it() -> None:
    """The data source reads with the reading account, and every folder of dashboards is one that is built."""
    (source,) = yaml.safe_load((DEPLOY / "grafana" / "datasources" / "commonwatt.yaml").read_text())["datasources"]
    assert source["uid"] == "commonwatt"
    assert source["secureJsonData"]["password"] == "$__file{/run/secrets/influx_read_password}"
    assert "influx_read_password" in SERVICES["grafana"]["secrets"]
    built = ROOT / "dashboards" / "built"
    (provided,) = (built / "provisioning" / "dashboards").glob("*.yaml")
    environment = SERVICES["grafana"]["environment"]
    for provider in yaml.safe_load(provided.read_text())["providers"]:
        path = provider["options"]["path"].replace("$DASHBOARDS", environment["DASHBOARDS"])
        assert list((built / "dashboards" / Path(path).relative_to("/etc/commonwatt/dashboards")).glob("*.json"))
    asked = {name for file in (built / "provisioning" / "alerting").glob("*.yaml") for name in variables(file)}
    assert asked <= set(environment)


def variables(file: Path) -> set[str]:
    """Names that Grafana fills in from its environment: whole values that are one."""
    return set(re.findall(r": \$([A-Z_]+)$", file.read_text(), re.MULTILINE))


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined, comments left out."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.strip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [
        (word, rest.strip()) for word, _space, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def test_dockerfile_when_looked_through() -> None:
    """Pinned base, no secrets, not root at the end; what is copied exists and may enter the context."""
    found = instructions()
    bases = [rest.split()[0] for word, rest in found if word == "FROM"]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-bookworm", bases[0])
    assert [rest for word, rest in found if word == "USER"][-1] == "10001:10001"
    assert {word for word, _rest in found} <= {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT"}
    text = (DEPLOY / "Dockerfile").read_text()
    assert not re.search(r"(?i:password|token|secret|curl|wget)|ADD |--privileged", text)
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in allowed
    for word, rest in found:
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in allowed, source


def test_package_when_the_image_is_built() -> None:
    """What the wheel takes from outside the packages is copied into the image's context."""
    project = (ROOT / "pyproject.toml").read_text()
    forced = re.findall(r'^"([\w/]+)" = "\w+(?:/\w+)+"$', project, re.MULTILINE)
    assert {"hardware/meters", "dashboards/built"} <= set(forced)
    copied = " ".join(rest for word, rest in instructions() if word == "COPY")
    assert all(path in copied for path in forced)
