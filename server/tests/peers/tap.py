"""The one form in which every peer reports: the Test Anything Protocol, with the plan (`1..N`) at the end.

The plan comes last so that a peer that dies half-way is told from one that has finished.
"""

import asyncio

# Seconds one check may take: the longest echoes some tens of megabytes, which takes a second on a busy machine.
CHECK_LIMIT = 30


class Checks:
    """Numbers, runs and prints a peer's checks."""

    def __init__(self):
        self.count = 0

    def report(self, name, problem=None):
        """Prints one finished check; `problem` says in words why it failed."""
        self.count += 1
        if problem is None:
            print(f"ok {self.count} - {name}", flush=True)
        else:
            problem = " ".join(str(problem).split())
            print(f"not ok {self.count} - {name}: {problem}", flush=True)

    async def run(self, name, check):
        """Runs one asynchronous check: an exception fails it, and so does the time limit."""
        try:
            await asyncio.wait_for(check, CHECK_LIMIT)
        except asyncio.TimeoutError:  # which is the built-in TimeoutError only from Python 3.11 on
            self.report(name, "no answer in time")
        except Exception as error:  # a broken server may raise anything at all in a client library
            self.report(name, f"{type(error).__name__}: {error}")
        else:
            self.report(name)

    def finish(self):
        """Prints the plan."""
        print(f"1..{self.count}", flush=True)


def expect_equal(found, expected, what):
    """Raises unless equal; long values are cut, because an echo may be a megabyte."""
    if found != expected:
        raise AssertionError(f"{what} is {abridged(found)}, expected {abridged(expected)}")


def abridged(value):
    """`value` as text that fits on a line."""
    text = repr(value)
    size = f" ({len(value)} long)" if isinstance(value, (str, bytes)) else ""
    return (text if len(text) <= 60 else text[:57] + "...") + size


def parse(output):
    """A peer's output -> (passed, problems): how many checks passed, and a line for each that did not.

    A plan that is missing or wrong is a problem too. Lines that are no TAP are ignored.
    """
    passed, problems, plan = 0, [], None
    for line in output.splitlines():
        if line.startswith("ok "):
            passed += 1
        elif line.startswith("not ok "):
            problems.append(line)
        elif line.startswith("1.."):
            plan = int(line[3:])
    ran = passed + len(problems)
    if plan is None:
        problems.append(f"not ok - stopped after {ran} checks")
    elif plan != ran or plan == 0:
        problems.append(f"not ok - planned {plan} checks, ran {ran}")
    return passed, problems
