"""`evaluate.load("eval/metrics/war.py")`."""

import datasets
import evaluate

from .functions import war

_DESCRIPTION = """\
Weighted average recall, which is accuracy: the share of rows that were recognised.
"""

_ARGUMENTS = """
Args:
    predictions, references: as many of one as of the other.

Returns:
    war: a float.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/war.py")
    >>> metric.compute(predictions=[0, 0, 1], references=[0, 0, 0])
    {'war': 0.6666666666666666}
"""


class WAR(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_ARGUMENTS,
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions, references):
        return {"war": war(predictions, references)}
