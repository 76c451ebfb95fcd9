"""Runs the tests of one module as pytest would: `micropython run_on_micropython.py FIRMWARE MODULE`."""

import json
import sys

sys.path.insert(0, sys.argv[1])


def main(name):
    """Run every test_ function; print {name: "" or what failed} as the last line."""
    module = __import__(name)
    results = {}
    for test in sorted(dir(module)):
        if test.startswith("test_"):
            try:
                getattr(module, test)()
                results[test] = ""
            except Exception as error:
                sys.print_exception(error)
                results[test] = repr(error) or "failed"
    print(json.dumps(results))


main(sys.argv[2])
