"""`evaluate.load("eval/metrics/ece.py")`."""

import datasets
import evaluate

from .functions import ece

_DESCRIPTION = """\
Expected calibration error: the mean distance of confidence from accuracy over bins of equal width.
Predictions are probabilities, one row a picture.
"""

_ARGUMENTS = """
Args:
    predictions, references: as many of one as of the other.
    bins: of equal width.

Returns:
    ece: a float.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/ece.py")
    >>> metric.compute(predictions=[[0.8, 0.2], [0.4, 0.6]], references=[0, 1])
    {'ece': 0.3}
"""


class ECE(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_ARGUMENTS,
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("float64")), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions, references, bins=15):
        return {"ece": ece(predictions, references, bins)}
