"""Runs every test here: a line for each, its traceback if it failed, and the sum. A test that is
skipped has failed."""

import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Lines(unittest.TestResult):
    passed = 0
    failed = 0

    def startTest(self, test):
        super().startTest(test)
        self._began = time.monotonic()

    def addSuccess(self, test):
        self.passed += 1
        print(f"ok {name(test)} ({time.monotonic() - self._began:.1f} s)", flush=True)

    def addError(self, test, error):
        self._fail(test, self._exc_info_to_string(error, test))

    def addFailure(self, test, error):
        self._fail(test, self._exc_info_to_string(error, test))

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self._fail(subtest, self._exc_info_to_string(error, test))

    def addSkip(self, test, reason):
        self._fail(test, f"skipped: {reason}")

    def _fail(self, test, why):
        self.failed += 1
        print(f"FAILED {name(test)}\n{why}", flush=True)


def name(test) -> str:
    method = getattr(test, "_testMethodName", None)
    return method.removeprefix("test_").replace("_", " ") if method else str(test)


def main() -> int:
    loader = unittest.TestLoader()
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    suite = loader.discover(str(HERE), pattern=f"{pattern}test.py")
    result = Lines()
    suite.run(result)
    print(f"{result.passed} passed, {result.failed} failed")
    return 0 if result.failed == 0 and result.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
