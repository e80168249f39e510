"""`evaluate.load("eval/metrics/ccc.py")`."""

import datasets
import evaluate

from .functions import ccc

_DESCRIPTION = """\
Lin's concordance correlation coefficient: agreement of two series in course, level and scale; 1 is perfect.
"""

_ARGUMENTS = """
Args:
    predictions, references: as many of one as of the other.
    kind: `biased` (divides by n, as Lin did) or `unbiased` (by n - 1); name it beside the figure.
    sequences: the video of every row, for the mean of the videos' coefficients; default: all rows together.

Returns:
    ccc: a float.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/ccc.py")
    >>> metric.compute(predictions=[0.0, 0.5, 1.0], references=[0.1, 0.5, 0.7])
    {'ccc': 0.857142857142857}
"""


class CCC(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_ARGUMENTS,
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("float64")}
            ),
        )

    def _compute(self, predictions, references, kind="biased", sequences=None):
        return {"ccc": ccc(predictions, references, kind, sequences)}
