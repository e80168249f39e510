"""Make the Auto classes of transformers know EmoCapCLIP, without importing any model until someone wants one.

transformers loads its Auto classes lazily: `from transformers import AutoModel` is what imports them. Registering
right away would import them all, and the modeling base with them, and double the cost of `import emocapclip_hf`. So a
registration waits for the module that holds its Auto class. Auto classes are also imported in the middle of other
modules of transformers, half of whose names do not exist yet; so it waits until no such import is under way.
"""

from __future__ import annotations

import functools
import sys
from importlib.abc import Loader, MetaPathFinder


def _register_config() -> None:
    from transformers import AutoConfig

    from .modeling import EmoCapCLIPCaptionerConfig, EmoCapCLIPConfig

    for config in (EmoCapCLIPConfig, EmoCapCLIPCaptionerConfig):
        AutoConfig.register(config.model_type, config, exist_ok=True)


def _register_models() -> None:
    from transformers import (
        AutoModel,
        AutoModelForImageClassification,
        AutoModelForImageTextToText,
        AutoModelForZeroShotImageClassification,
    )
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    from .modeling import (
        EmoCapCLIPCaptionerConfig,
        EmoCapCLIPConfig,
        EmoCapCLIPForConditionalGeneration,
        EmoCapCLIPForImageClassification,
        EmoCapCLIPModel,
    )

    AutoModel.register(EmoCapCLIPConfig, EmoCapCLIPModel, exist_ok=True)
    AutoModelForZeroShotImageClassification.register(EmoCapCLIPConfig, EmoCapCLIPModel, exist_ok=True)
    AutoModelForImageClassification.register(EmoCapCLIPConfig, EmoCapCLIPForImageClassification, exist_ok=True)
    captioner = EmoCapCLIPForConditionalGeneration
    AutoModelForImageTextToText.register(EmoCapCLIPCaptionerConfig, captioner, exist_ok=True)
    # pipeline("image-text-to-text") compares with these names, and calls a class that is only registered unsupported.
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES[EmoCapCLIPCaptionerConfig.model_type] = captioner.__name__


def _register_processor() -> None:
    from transformers import AutoProcessor

    from .modeling import EmoCapCLIPCaptionerConfig, EmoCapCLIPConfig
    from .processing import EmoCapCLIPCaptionProcessor, EmoCapCLIPProcessor

    AutoProcessor.register(EmoCapCLIPConfig, EmoCapCLIPProcessor, exist_ok=True)
    AutoProcessor.register(EmoCapCLIPCaptionerConfig, EmoCapCLIPCaptionProcessor, exist_ok=True)


def _register_tokenizers() -> None:
    from transformers import AutoTokenizer

    from .modeling import EmoCapCLIPConfig
    from .processing import EmoCapCLIPSiglipTokenizer, EmoCapCLIPTokenizer

    # A checkpoint names its class; without a name, the last registered one is taken. (Given as a slow and a fast pair,
    # the SigLIP class would be replaced by the other wherever it is named.)
    for tokenizer_class in (EmoCapCLIPSiglipTokenizer, EmoCapCLIPTokenizer):
        AutoTokenizer.register(EmoCapCLIPConfig, tokenizer_class=tokenizer_class, exist_ok=True)


REGISTRATIONS = {
    "transformers.models.auto.configuration_auto": _register_config,
    "transformers.models.auto.modeling_auto": _register_models,
    "transformers.models.auto.processing_auto": _register_processor,
    "transformers.models.auto.tokenization_auto": _register_tokenizers,
}
# Whose imports must have ended before anything is registered: transformers, and our rooms, which import from it.
WATCHED = ("transformers", f"{__package__}.modeling", f"{__package__}.processing")


class _ImportWatcher(MetaPathFinder):
    """Registers what is due as soon as the outermost watched import has ended; with nothing left to do it goes."""

    def __init__(self):
        self._pending = dict(REGISTRATIONS)
        self._depth = 0  # watched modules that are being imported at this moment, one inside the other

    def find_spec(self, fullname, path=None, target=None):
        if not any(fullname == name or fullname.startswith(f"{name}.") for name in WATCHED):
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _WatchedLoader(spec.loader, self)
        return spec

    def load(self, loader: Loader, module) -> None:
        self._depth += 1
        try:
            loader.exec_module(module)
        finally:
            self._depth -= 1
        self.register_what_is_due()

    def register_what_is_due(self) -> None:
        for name in list(self._pending):
            # A registration imports in turn, which may bring others about before this loop comes to them.
            if self._depth == 0 and name in sys.modules and name in self._pending:
                self._pending.pop(name)()
        if not self._pending and self in sys.meta_path:
            sys.meta_path.remove(self)


class _WatchedLoader(Loader):
    """A module's own loader, under the watcher's eyes."""

    def __init__(self, loader: Loader, watcher: _ImportWatcher):
        self._loader, self._watcher = loader, watcher

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._watcher.load(self._loader, module)


@functools.cache
def register_auto_classes() -> None:
    """Register config, models, processor and tokenizers with transformers' Auto classes, each when its time comes."""
    watcher = _ImportWatcher()
    sys.meta_path.insert(0, watcher)
    watcher.register_what_is_due()
