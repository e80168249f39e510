"""`evaluate.load("eval/metrics/rmse.py")`."""

import datasets
import evaluate

from .functions import rmse

_DESCRIPTION = """\
Root of the mean squared error.
"""

_ARGUMENTS = """
Args:
    predictions, references: as many of one as of the other.

Returns:
    rmse: a float.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/rmse.py")
    >>> metric.compute(predictions=[0.0, 0.5, 1.0], references=[0.1, 0.5, 0.7])
    {'rmse': 0.1825741858350554}
"""


class RMSE(evaluate.Metric):
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
        return {"rmse": rmse(predictions, references)}
