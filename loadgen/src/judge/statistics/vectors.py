#!/usr/bin/env python3
"""Writes vectors.json: values with Student-t noise and SciPy's and R's figures for them.

python3 loadgen/src/verdict/vectors.py > loadgen/src/verdict/vectors.json
Made with SciPy 1.17.1 (scipy.stats.wilcoxon, exact) and R 4.2.2 (wilcox.test, exact, conf.int = TRUE).
"""
import json
import subprocess

import numpy
from scipy import stats

R = """
values <- scan(file("stdin"), quiet = TRUE)
test <- function(level) wilcox.test(values, exact = TRUE, conf.int = TRUE, conf.level = level)
cat(format(test(0.95)$estimate, digits = 17), "")
for (level in c(0.6, 0.95, 0.99)) cat(format(test(level)$conf.int, digits = 17), "")
"""


def vector(rng, n):
    # Rounded, so that what the file says is what both have computed with.
    values = [round(float(value), 9) for value in 0.004 + 0.01 * rng.standard_t(3, n)]
    at = 0.001
    shifted = numpy.array(values) - at
    p = {side: float(stats.wilcoxon(shifted, alternative=side, method="exact").pvalue) for side in ("greater", "less")}
    answer = subprocess.run(["Rscript", "-e", R], input=" ".join(map(repr, values)), text=True, capture_output=True, check=True)
    estimate, *ends = map(float, answer.stdout.split())
    intervals = [[round(1 - level, 9), ends[2 * i], ends[2 * i + 1]] for i, level in enumerate((0.6, 0.95, 0.99))]
    # R clamps an interval that so few values cannot give; it is no figure to agree with.
    intervals = [interval for interval in intervals if 2.0 ** (1 - n) < interval[0]]
    return {"values": values, "at": at, "p_greater": p["greater"], "p_less": p["less"], "estimate": estimate, "intervals": intervals}


rng = numpy.random.default_rng(1)
print(json.dumps([vector(rng, n) for n in (1, 2, 3, 5, 6, 8, 9, 12, 15, 18, 20, 25, 30, 40, 50)], indent=1))
