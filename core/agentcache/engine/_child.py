"""The process that holds llama.cpp: options come as JSON, its URL goes to standard output.

A process of its own, because llama.cpp inside the caller's would wait at its end for every
request still under way, and would take the caller down if it fell.
"""

import json
import os
import sys
from typing import Any

from agentcache.engine._extra import engine_package


def _main(sent: str) -> None:
    options: dict[str, Any] = json.loads(sent)
    llama = engine_package("xllamacpp")
    params = llama.CommonParams()
    params.model.path = options.pop("model")
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.pop("threads")
    params.model_alias = {options.pop("alias")}
    for name, value in options.pop("sampling").items():
        setattr(params.sampling, name, value)
    for name, value in options.items():
        setattr(params, name, value)
    server = llama.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()  # ends when the caller is gone without having stopped us
    os._exit(0)


if __name__ == "__main__":
    _main(sys.argv[1])
