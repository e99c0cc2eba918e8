"""A process that trains when told: the slots of one machine are filled with several of these at once.

Request: case {model, optimizer, global_batch}s, way, cores, inter_op, examples, most_steps. Talks by lines: on standard
input `open CASE` or `run EPOCHS`, on standard output the answer as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from ... import data
from ...errors import EXIT_OK
from .answer import prepare


def main() -> int:
    """Do what standard input asks for, a line each, until there are no more; return the exit code."""
    request: dict[str, Any] = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # nothing but answers goes to standard output
    prepare(request["cores"], request["inter_op"])
    import keras

    from .ways import WAYS, Workload
    loaded = data.load(f"synthetic:28x28x1,classes=10,examples={request['examples']}")
    way: Any = None
    for line in sys.stdin:
        word, number = line.split()
        if word == "open":
            way = None
            keras.backend.clear_session()
            case = request["cases"][int(number)]
            workload = Workload(case["model"], case["optimizer"], case["global_batch"] or request["examples"],
                                loaded.train_x, loaded.train_y, request["most_steps"])
            way = WAYS[request["way"]](workload)
            way.seconds(1)
            answers.write(json.dumps({"examples": workload.examples, "steps": workload.steps}) + "\n")
        else:
            answers.write(json.dumps({"seconds": way.seconds(int(number))}) + "\n")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
