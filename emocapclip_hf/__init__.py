"""EmoCapCLIP for the Hugging Face ecosystem.

Importing this package registers its config, models and processor with the Auto classes of transformers; the classes
themselves are imported when they are first used.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# In a checkout, modeling/, processing/ and eval/ stand beside this package; in a wheel they are inside it.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "modeling" / "__init__.py").is_file():
    __path__.append(str(_checkout))

from .registration import register_auto_classes  # noqa: E402 (needs the path above)

register_auto_classes()

if TYPE_CHECKING:
    from .data.caption import EmoCaption
    from .modeling import (
        EmoCapCLIPCaptionerConfig,
        EmoCapCLIPConfig,
        EmoCapCLIPForConditionalGeneration,
        EmoCapCLIPForImageClassification,
        EmoCapCLIPModel,
        EmoCapCLIPOutput,
        EmoCapCLIPPreTrainedModel,
    )
    from .processing import EmoCapCLIPCaptionProcessor, EmoCapCLIPProcessor

_HOME_OF = {
    "EmoCapCLIPCaptionProcessor": "processing",
    "EmoCapCLIPCaptionerConfig": "modeling",
    "EmoCapCLIPConfig": "modeling",
    "EmoCapCLIPForConditionalGeneration": "modeling",
    "EmoCapCLIPForImageClassification": "modeling",
    "EmoCapCLIPModel": "modeling",
    "EmoCapCLIPOutput": "modeling",
    "EmoCapCLIPPreTrainedModel": "modeling",
    "EmoCapCLIPProcessor": "processing",
    "EmoCaption": "data.caption",
}

__all__ = [
    "EmoCapCLIPCaptionProcessor",
    "EmoCapCLIPCaptionerConfig",
    "EmoCapCLIPConfig",
    "EmoCapCLIPForConditionalGeneration",
    "EmoCapCLIPForImageClassification",
    "EmoCapCLIPModel",
    "EmoCapCLIPOutput",
    "EmoCapCLIPPreTrainedModel",
    "EmoCapCLIPProcessor",
    "EmoCaption",
    "__version__",
]


def __getattr__(name: str):
    if name in _HOME_OF:
        return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
