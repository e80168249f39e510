"""What the Hub demands of a model card's metadata, as its documentation of model cards lists it."""

import re

# The licences that our cards may carry; the Hub knows more.
LICENSES = {"apache-2.0", "mit", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0", "other", "unknown"}
REPO_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
FIELDS = {
    "language": lambda value: all(re.fullmatch(r"[a-z]{2,3}|multilingual|code", each) for each in _listed(value)),
    "license": LICENSES.__contains__,
    "library_name": lambda value: isinstance(value, str),
    "pipeline_tag": lambda value: isinstance(value, str),
    "tags": lambda value: isinstance(value, list) and all(isinstance(tag, str) for tag in value),
    "metrics": lambda value: isinstance(value, list) and all(isinstance(metric, str) for metric in value),
    "datasets": lambda value: all(REPO_ID.fullmatch(each) for each in _listed(value)),
    "base_model": lambda value: all(REPO_ID.fullmatch(each) for each in _listed(value)),
}


def card_errors(metadata: dict) -> list[str]:
    """One message a field that the Hub would refuse."""
    errors = [
        f'"{name}" must not be {metadata[name]!r}'
        for name, is_allowed in FIELDS.items()
        if name in metadata and not is_allowed(metadata[name])
    ]
    for model in metadata.get("model-index", []):
        if not isinstance(model.get("name"), str):
            errors.append('"model-index[0].name" is required')
        for number, result in enumerate(model.get("results", [])):
            errors += _result_errors(result, f'"model-index[0].results[{number}]')
    return errors


def _result_errors(result: dict, place: str) -> list[str]:
    needed = {"task": ("type",), "dataset": ("type", "name")}
    errors = [
        f'{place}.{part}.{name}" is required'
        for part, names in needed.items()
        for name in names
        if not result.get(part, {}).get(name)
    ]
    for metric in result.get("metrics") or [{}]:
        errors += [f'{place}.metrics.{name}" is required' for name in ("type", "value") if metric.get(name) is None]
    return errors


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
