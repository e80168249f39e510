"""`evaluate.load("eval/metrics/sagr.py")`."""

import datasets
import evaluate

from .functions import sagr

_DESCRIPTION = """\
Sign agreement: the share of rows where prediction and reference have the same sign, as for valence and
arousal.
"""

_ARGUMENTS = """
Args:
    predictions, references: as many of one as of the other.

Returns:
    sagr: a float.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/sagr.py")
    >>> metric.compute(predictions=[0.0, 0.5, 1.0], references=[0.1, 0.5, 0.7])
    {'sagr': 0.6666666666666666}
"""


class SAGR(evaluate.Metric):
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
        return {"sagr": sagr(predictions, references)}
