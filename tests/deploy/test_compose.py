"""docker-compose.yml and what it mounts, held against the compose specification and against the program.

No container runs here: what only Docker can tell is listed in docs/operations.md.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from chassis import clock, telemetry
from chassis.data_keys import DataKeys, list_data_keys
from chassis.settings import ServiceSettings
from devstack import postgres
from gateway.settings import GatewaySettings
from services.customer_svc.settings import Settings as CustomerSettings

ROOT = Path(__file__).parents[2]
DATA_KEYS = "./deploy/secrets/data_keys:/data-keys:ro"
OURS = ("alert", "assignment", "campaign", "customer")
# Jobs that end.
ONE_SHOT = {"batch", *(f"{name}-migrate" for name in OURS)}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def containers(compose):
    return compose["services"]


def test_it_keeps_the_compose_specification(compose):
    # As the package check-jsonschema carries it; Apache-2.0, see the licence beside it.
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(compose)


def test_the_specification_refuses_a_typing_error(compose):
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    broken = {**compose, "services": {"gateway": {"image": "x", "helthcheck": {}}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(broken)


def test_everything_is_there_that_a_bank_needs(containers):
    assert [name for name in containers if name.startswith("zookeeper")] == [
        "zookeeper-1",
        "zookeeper-2",
        "zookeeper-3",
    ]
    assert {"postgres", "valkey", "gateway", "prometheus", "grafana"} <= set(containers)
    assert all(containers[name]["deploy"]["replicas"] == 2 for name in OURS)


def test_nobody_is_root_or_may_become_it(containers):
    for name, container in containers.items():
        assert container["user"].split(":")[0] not in {"0", "root"}, name
        assert container["cap_drop"] == ["ALL"], name
        assert container["security_opt"] == ["no-new-privileges:true"], name


def test_everything_has_limits_and_a_pinned_image(containers):
    for name, container in containers.items():
        limits = container["deploy"]["resources"]["limits"]
        assert {"cpus", "memory"} == set(limits), name
        assert re.fullmatch(r"[a-z/]+:(local|v?\d[\w.]*)", container["image"]), name


def test_everything_that_stays_up_is_watched(containers):
    for name in set(containers) - ONE_SHOT:
        assert containers[name]["healthcheck"]["test"][0].startswith("CMD"), name
        assert containers[name]["restart"] == "unless-stopped", name
    for name in ONE_SHOT:
        # A server that is still starting fails no first start.
        assert containers[name]["restart"] == ("on-failure:5" if name.endswith("-migrate") else "no"), name


def test_postgres_is_healthy_only_when_others_can_reach_it(containers):
    # The image's temporary server, which makes the databases, listens at the unix socket only.
    assert containers["postgres"]["healthcheck"]["test"][1:4] == ["pg_isready", "--host", "127.0.0.1"]


def test_postgres_plans_as_where_searches_were_measured(containers):
    told = dict(option.removeprefix("-c").split("=") for option in containers["postgres"]["command"][1:])
    planned = {"shared_buffers", "random_page_cost", "max_wal_size", "idle_in_transaction_session_timeout"}
    assert told.keys() >= planned
    assert told == {name: str(postgres.SETTINGS[name]) for name in told}


def test_who_needs_an_identity_waits_for_it_and_sees_only_its_own(containers):
    for name in (*OURS, "gateway"):
        volume, *others = containers[name]["volumes"]
        assert others == ([DATA_KEYS] if name == "customer" else []), name
        assert volume["read_only"], name
        assert volume["volume"]["subpath"] == ("gateway" if name == "gateway" else f"{name}_svc")
    for name in OURS:
        environment, prefix = containers[name]["environment"], f"BANYAN_{name.upper()}_"
        asked = containers[name]["healthcheck"]["test"][-2:]
        assert asked == [environment[f"{prefix}PORT"], str(Path(environment[f"{prefix}TLS_KEY"]).parent)], name
        assert containers[name]["depends_on"]["identities"] == {"condition": "service_healthy"}, name


def test_identities_that_were_not_looked_after_for_a_day_are_unhealthy(containers, tmp_path):
    kind, command = containers["identities"]["healthcheck"]["test"]
    done = tmp_path / "done"
    assert (kind, containers["identities"]["command"][-1]) == ("CMD-SHELL", "/tmp/done")

    def check():
        told = ["sh", "-c", command.replace("/tmp/done", str(done))]
        return subprocess.run(told, stderr=subprocess.DEVNULL, check=False).returncode

    assert check() == 1
    done.touch()
    assert check() == 0
    long_ago = done.stat().st_mtime - 26 * 3600
    os.utime(done, (long_ago, long_ago))
    assert check() == 1


def test_java_s_heaps_fit_in_the_container(containers):
    for name in ("zookeeper-1", "zookeeper-2", "zookeeper-3"):
        heaps = sum(int(containers[name]["environment"][f"ZK_{kind}_HEAP"]) for kind in ("SERVER", "CLIENT"))
        limit = containers[name]["deploy"]["resources"]["limits"]["memory"]
        assert heaps <= 0.7 * int(limit.removesuffix("m")), name


def test_only_the_gateway_is_reached_from_outside(containers):
    published = {name: port for name, container in containers.items() for port in container.get("ports", ())}
    assert published.pop("gateway") == "8080:8080"
    assert all(port.startswith("127.0.0.1:") for port in published.values())


def test_networks_volumes_secrets_and_dependencies_exist(compose, containers):
    for name, container in containers.items():
        assert set(container["networks"]) <= set(compose["networks"]), name
        assert set(container.get("secrets", ())) <= set(compose["secrets"]), name
        assert set(container.get("depends_on", {})) <= set(containers), name
        for volume in container.get("volumes", ()):
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            # The operator's own folder, or one that make-secrets makes.
            if source.startswith("$") or volume == DATA_KEYS:
                continue
            assert (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"], (name, source)


def test_every_variable_is_a_setting_that_exists(containers):
    for name, container in containers.items():
        owner = "GATEWAY" if name == "gateway" else name.removesuffix("-migrate").upper()
        settings = {"GATEWAY": GatewaySettings, "CUSTOMER": CustomerSettings}.get(owner, ServiceSettings)
        prefix = "BANYAN_" if name == "batch" else f"BANYAN_{owner}_"
        known = {f"{prefix}{field.upper()}" for field in settings.model_fields}
        given = {key for key in container.get("environment", {}) if key.startswith("BANYAN_")}
        assert {key.removesuffix("__FILE") for key in given} <= known, name
        for key, value in container.get("environment", {}).items():
            if key.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in container["secrets"], (name, key)


def test_no_secret_is_written_down(containers):
    for name, container in containers.items():
        for key, value in container.get("environment", {}).items():
            if re.search("PASSWORD|AUTH|SECRET", key):
                assert key.endswith("_FILE"), (name, key)
            assert not re.search(r"://[^/@]+:[^/@]+@", value), (name, key)


def test_make_secrets_makes_what_is_asked_once(compose, tmp_path):
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets", "__pycache__"))
    folder = tmp_path / "deploy" / "secrets"
    folder.mkdir()
    for _ in range(2):
        subprocess.run([tmp_path / "deploy" / "make-secrets"], check=True)
    files = {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}
    assert (
        set(files) == {Path(secret["file"]).name for secret in compose["secrets"].values()} == set(compose["secrets"])
    )
    assert len(set(files.values())) == len(files)
    assert files["valkey_url"] == f"redis://:{files['valkey_password']}@valkey:6379/0"
    assert folder.stat().st_mode & 0o077 == 0


def test_make_secrets_makes_data_keys_once_and_more_when_asked(tmp_path):
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets", "__pycache__"))
    keys = tmp_path / "deploy" / "secrets" / "data_keys"
    keys.parent.mkdir()
    make = tmp_path / "deploy" / "make-secrets"
    for _ in range(2):
        subprocess.run([make], check=True)
    first = list_data_keys(keys, clock.now())
    assert [(key.purpose, key.writes) for key in first] == [("cipher", True), ("hash", True)]
    [older] = (keys / "cipher").iterdir()
    older.rename(older.with_name("1700000000.key"))
    subprocess.run([make, "new-data-key", "cipher"], check=True)
    assert [key.key_id for key in list_data_keys(keys, clock.now()) if key.writes] == [1_700_000_000, first[1].key_id]
    DataKeys(keys).check()
    assert subprocess.run([make, "new-data-key"], check=False, stderr=subprocess.DEVNULL).returncode == 2


def test_containers_may_read_what_they_mount_whatever_the_umask(containers, tmp_path):
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets", "__pycache__"))
    (tmp_path / "deploy" / "secrets").mkdir()
    for path in (tmp_path / "deploy").rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    subprocess.run([tmp_path / "deploy" / "make-secrets"], check=True)
    volumes = [volume for each in containers.values() for volume in each.get("volumes", ()) if str(volume)[0] == "."]
    mounted = [tmp_path / volume.split(":")[0] for volume in volumes]
    assert mounted
    for path in (each for root in mounted for each in (root, *root.rglob("*"))):
        wanted = 0o055 if path.is_dir() else 0o044
        assert path.stat().st_mode & wanted == wanted, path
    assert (tmp_path / "deploy" / "secrets").stat().st_mode & 0o077 == 0


def test_the_entrypoint_takes_secrets_from_files(tmp_path):
    (tmp_path / "auth").write_text("banyan:x y$z\n")
    told = {
        "PATH": "/usr/bin:/bin",
        "BANYAN_ALERT_ZOOKEEPER_AUTH__FILE": str(tmp_path / "auth"),
        "BANYAN_ALERT_PORT": "7",
    }
    shown = subprocess.run(
        [ROOT / "deploy" / "entrypoint", "env"], env=told, capture_output=True, text=True, check=True
    )
    lines = shown.stdout.splitlines()
    assert "BANYAN_ALERT_ZOOKEEPER_AUTH=banyan:x y$z" in lines
    assert "BANYAN_ALERT_PORT=7" in lines
    assert not any("__FILE" in line for line in lines)


def test_the_image_does_not_run_as_root():
    last = (ROOT / "deploy" / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER banyan$", last, re.MULTILINE)
    assert "uid 10001" in last


def test_the_image_does_not_depend_on_the_umask_of_who_builds_it():
    first = (ROOT / "deploy" / "Dockerfile").read_text().rpartition("\nFROM ")[0]
    assert first.index("COPY . .") < first.index("RUN chmod -R go+rX /banyan")


def test_prometheus_asks_who_is_there(containers):
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    services, gateway, _ = prometheus["scrape_configs"]
    assert set(services["dns_sd_configs"][0]["names"]) == set(OURS)
    assert services["dns_sd_configs"][0]["port"] == 9464
    assert gateway["static_configs"][0]["targets"] == ["gateway:9464"]
    for name in (*OURS, "gateway"):
        assert containers[name]["environment"][f"BANYAN_{name.upper()}_METRICS_PORT"] == "9464"


def test_the_dashboard_shows_figures_that_exist():
    metrics = (telemetry.RPC_SECONDS, telemetry.RPCS_IN_FLIGHT, telemetry.JOB_FAILURES)
    ours = {metric._name for metric in (*metrics, telemetry.FEED_LAG, telemetry.FEED_STALL)}
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/banyan.json").read_text())
    provisioned = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == provisioned["datasources"][0]["uid"]
        for target in panel["targets"]:
            names = set(re.findall(r"\b([a-z_]+)(?=\{|\[|\))", target["expr"]))
            used = {re.sub("_(count|bucket|total)$", "", name) for name in names if "_" in name} - {
                "histogram_quantile"
            }
            foreign = {name for name in used if name.startswith(("process_", "envoy_"))}
            assert used - foreign <= ours | {"exported_job"}, target["expr"]
