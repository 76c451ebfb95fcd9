"""DIR/prometheus.yml: where a Prometheus finds the demo's processes while they run, and the alert rules for them.

prometheus --config.file var/demo/prometheus.yml --storage.tsdb.path /tmp/demo-prometheus
"""

import json
from collections.abc import Mapping

from commonwatt.demo.brokers import AGGREGATOR
from commonwatt.demo.layout import Layout
from commonwatt.demo.plan import ROOT

RULES = ROOT / "dashboards" / "built" / "prometheus" / "commonwatt.rules.yml"
EVERY = "1s"
"""A minute here is a day there."""


def write(layout: Layout, ports: Mapping[str, int]) -> None:
    """`ports`: of /metrics on this machine, the aggregator's by its own name, the others by gateway."""
    gateways = {name: port for name, port in ports.items() if name != AGGREGATOR}
    jobs = [_job("commonwatt-aggregator", {AGGREGATOR: ports[AGGREGATOR]}), _job("commonwatt-gateway", gateways)]
    layout.prometheus.write_text(
        f"global: {{scrape_interval: {EVERY}, scrape_timeout: {EVERY}, evaluation_interval: {EVERY}}}\n"
        f"rule_files: [{json.dumps(str(RULES))}]\n"
        "scrape_configs:\n" + "".join(jobs)
    )


def _job(name: str, ports: Mapping[str, int]) -> str:
    """`instance` is what alerts name."""
    targets = "".join(
        f'      - {{targets: ["127.0.0.1:{port}"], labels: {{instance: {json.dumps(who)}}}}}\n'
        for who, port in ports.items()
    )
    return f"  - job_name: {name}\n    static_configs:\n{targets}"
