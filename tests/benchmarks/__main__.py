"""Runs every benchmark in turn, with the options given; its status is 1 when any target is missed."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
SCRIPTS = ("build", "attachment", "throughput", "ledger", "scale", "imports", "jsonpath")


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", help="turns of each side; each script has its own default")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write what was measured to this file")
    options = parser.parse_args()
    passed_on = [
        *(["--rounds", options.rounds] if options.rounds else []),
        *(["--quick"] if options.quick else []),
    ]
    worst, measured = 0, {}
    with TemporaryDirectory() as folder:
        for script in SCRIPTS:
            out = Path(folder, f"{script}.json")
            command = [sys.executable, HERE / f"{script}.py", *passed_on, "--json", out]
            worst = max(worst, subprocess.run(command).returncode and 1)
            if out.exists():
                measured[script] = json.loads(out.read_text())
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1, ensure_ascii=False) + "\n")
    return worst


if __name__ == "__main__":
    sys.exit(main())
