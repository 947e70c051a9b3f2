"""`agentcache engine`, as a process of its own."""

import json
import shlex
import signal
import subprocess
import sys
from urllib.request import ProxyHandler, Request, build_opener

# A shell that starts tests in the background has them ignore Ctrl-C; a terminal does not.
MAIN = """
import argparse, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from agentcache.engine import command
parser = argparse.ArgumentParser()
command.add_arguments(parser)
sys.exit(command.run(parser.parse_args()))
"""


def test_it_prints_a_line_that_works_and_stops_on_ctrl_c() -> None:
    command = [sys.executable, "-c", MAIN, "--slots", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = iter(process.stdout.readline, "Ctrl-C stops it.\n")
        printed = next(line for line in lines if line.startswith("curl "))
        _, url, _, _, _, body = shlex.split(printed)
        request = Request(url, body.encode(), {"Content-Type": "application/json"})
        with build_opener(ProxyHandler({})).open(request, timeout=10) as response:
            answer = json.load(response)
        process.send_signal(signal.SIGINT)
        try:
            said, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert "Stopped." in said
    assert answer["model"] == "agentcache-agent"
    assert process.returncode == 0
