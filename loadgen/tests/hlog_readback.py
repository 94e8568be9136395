"""Reads an interval log with PyPI's `hdrhistogram` and compares the number of values in it: of the lines without a tag, and
of those of each tag.

    python hlog_readback.py FILE EXPECTED_COUNT
"""

import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

HIGHEST_NS = 3_600_000_000_000


def main() -> int:
    path, expected = sys.argv[1], int(sys.argv[2])
    total = HdrHistogram(1, HIGHEST_NS, 3)
    reader = HistogramLogReader(path, total)
    intervals = 0
    tags = {}
    # Without the reference the reader would return a histogram of its own instead of filling a new one each time.
    while (interval := reader.get_next_interval_histogram()) is not None:
        if interval.get_tag() is not None:
            tags[interval.get_tag()] = interval.get_total_count()
            continue
        intervals += 1
        total.add(interval)
    reader.close()
    count = total.get_total_count()
    p99_us = total.get_value_at_percentile(99) / 1e3
    print(f"{path}: {intervals} intervals, {count} values, p99 {p99_us:.1f} us")
    if intervals == 0 or count != expected:
        print(f"{path}: expected {expected} values in at least one interval", file=sys.stderr)
        return 1
    named = {"service_time", "send_lag", "read_lag", "seen"}
    if set(tags) != named or any(values != expected for values in tags.values()):
        print(f"{path}: expected {expected} values under each of {sorted(named)}, found {tags}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
