"""`evaluate.load("eval/metrics/uar.py")`."""

import datasets
import evaluate

from .functions import uar

_DESCRIPTION = """\
Unweighted average recall: the mean over classes of the share of each that was recognised. Chance is one over
the number of classes, however rare some of them are.
"""

_ARGUMENTS = """
Args:
    predictions, references: as many of one as of the other.

Returns:
    uar: a float.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/uar.py")
    >>> metric.compute(predictions=[0, 0, 1], references=[0, 0, 0])
    {'uar': 0.6666666666666666}
"""


class UAR(evaluate.Metric):
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
        return {"uar": uar(predictions, references)}
