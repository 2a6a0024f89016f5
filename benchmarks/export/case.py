"""One model of the benchmark of exports, in a process of its own."""

import json
import sys

from benchmarks.export.__main__ import case

if __name__ == "__main__":
    print(json.dumps(case(json.loads(sys.argv[1]))))
