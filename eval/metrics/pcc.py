"""`evaluate.load("eval/metrics/pcc.py")`."""

import datasets
import evaluate

from .functions import pcc

_DESCRIPTION = """\
Pearson's correlation coefficient; 0 where one side is constant.
"""

_ARGUMENTS = """
Args:
    predictions, references: as many of one as of the other.

Returns:
    pcc: a float.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/pcc.py")
    >>> metric.compute(predictions=[0.0, 0.5, 1.0], references=[0.1, 0.5, 0.7])
    {'pcc': 0.9819805060619657}
"""


class PCC(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_ARGUMENTS,
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("float64")}
            ),
        )

    def _compute(self, predictions, references):
        return {"pcc": pcc(predictions, references)}
