"""Reads dashboards as Grafana's own SDK describes them, and says what of them it does not know."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(written, known, path):
    if isinstance(written, dict) and isinstance(known, dict):
        for key, value in written.items():
            if key in known:
                yield from lost(value, known[key], f"{path}.{key}")
            elif value not in (None, [], {}, False, ""):
                yield f"{path}.{key} is not known"
    elif isinstance(written, list) and isinstance(known, list) and len(written) == len(known):
        for i, value in enumerate(written):
            yield from lost(value, known[i], f"{path}[{i}]")
    elif written != known:
        yield f"{path} is {written!r}, read as {known!r}"


for file in sys.argv[1:]:
    with open(file) as text:
        dashboard = json.load(text)
    read = Dashboard.from_json(dashboard)
    for complaint in lost(dashboard, json.loads(JSONEncoder().encode(read)), file):
        sys.exit(complaint)
    print(file, len(read.panels), "panels")
