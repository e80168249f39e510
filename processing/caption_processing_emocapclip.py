"""The captioner's processor: pictures and prompts to write on from, and captions to learn from."""

from __future__ import annotations

import warnings
from typing import Any

from transformers import BatchFeature, ProcessorMixin
from transformers.processing_utils import ProcessingKwargs, Unpack

from .caption_inputs_emocapclip import check_sentence
from .image_inputs_emocapclip import holds_floats, rgb_images

IMAGE_TOKEN = "<image>"
IGNORED = -100  # a label that the loss leaves out


class EmoCapCLIPCaptionProcessor(ProcessorMixin):
    """An image processor and a decoder's tokenizer behind one call.

    Args:
        image_processor: any of transformers' image processors.
        tokenizer: the decoder's; it must know `image_token`.
        image_seq_length: how many image tokens stand for a picture: the model config's `image_seq_length`.
        image_token: stands in a text where its picture goes; a text without one has its picture before it.

    >>> inputs = processor(images="face.png", return_tensors="pt")  # doctest: +SKIP
    >>> processor.batch_decode(model.generate(**inputs), skip_special_tokens=True)  # doctest: +SKIP
    """

    _auto_class = "AutoProcessor"

    def __init__(self, image_processor, tokenizer, image_seq_length: int, image_token: str = IMAGE_TOKEN):
        if tokenizer.convert_tokens_to_ids(image_token) in (None, tokenizer.unk_token_id):
            raise ValueError(
                f"The tokenizer does not know {image_token!r}. Add it with tokenizer.add_special_tokens("
                f"{{'additional_special_tokens': [{image_token!r}]}}) and resize the decoder's embeddings."
            )
        super().__init__(image_processor, tokenizer)
        tokenizer.padding_side = "left"  # a pipeline that batches texts pads them by itself
        self.image_seq_length, self.image_token = image_seq_length, image_token

    def __call__(
        self,
        images: Any = None,
        text: str | list[str] | None = None,
        captions: str | list[str] | None = None,
        **kwargs: Unpack[ProcessingKwargs],
    ) -> BatchFeature:
        """Prepare pictures for `generate()`, or with `captions` for a training step.

        Args:
            images: one picture or a list, as in [`EmoCapCLIPProcessor`].
            text: the beginning of each caption, which may be empty; one string stands for all pictures.
            captions: what is to be written after each text. Gives `labels`, which leave everything else out.
            kwargs: whatever the image processor and the tokenizer take, flat or as `images_kwargs`, `text_kwargs`.

        Returns:
            `pixel_values` (B, 3, H, W), or what the image processor makes; `input_ids` and `attention_mask` (B, L),
            padded on the left for `generate()`, on the right for a training step; `labels` (B, L).
        """
        if images is None and text is None:
            raise ValueError("nothing to process: pass images, text or both")
        merged = self._merge_kwargs(ProcessingKwargs, tokenizer_init_kwargs=self.tokenizer.init_kwargs, **kwargs)
        images_kwargs, text_kwargs = merged["images_kwargs"], merged["text_kwargs"]
        return_tensors = text_kwargs.pop("return_tensors", None)
        data = {}
        pictures = None
        if images is not None:
            pictures = rgb_images(images, "images", images_kwargs.pop("input_data_format", None))
            if images_kwargs.get("do_rescale") is False and holds_floats(images):
                images_kwargs["do_rescale"] = True  # they were 0..1 and are 8-bit pictures now: back to 0..1
            data.update(self.image_processor(pictures, **images_kwargs))
        count = None if pictures is None else len(pictures)
        texts = [text or ""] * (count or 1) if text is None or isinstance(text, str) else list(text)
        data.update(self.token_rows(texts, count, captions, **text_kwargs))
        return BatchFeature(data, tensor_type=return_tensors)

    @property
    def model_input_names(self) -> list[str]:
        return [*self.image_processor.model_input_names, "input_ids", "attention_mask"]

    def _prompts(self, texts: list[str], pictures: int | None) -> list[str]:
        """Each text behind its picture's tokens and the token that opens a text, if the decoder has one."""
        for index, prompt in enumerate(texts):
            if not isinstance(prompt, str):
                raise TypeError(f"text[{index}] is a {type(prompt).__name__}; it must be a string, which may be empty")
        if pictures is None:
            return [self._opened(prompt) for prompt in texts]
        counts = [max(1, prompt.count(self.image_token)) for prompt in texts]
        if sum(counts) != pictures:
            raise ValueError(f"{pictures} images, but the texts are for {sum(counts)}: pass one text for each image")
        block = self.image_token * self.image_seq_length
        return [
            self._opened(prompt).replace(self.image_token, block)
            if self.image_token in prompt
            else block + self._opened(prompt)
            for prompt in texts
        ]

    def _opened(self, prompt: str) -> str:
        return (self.tokenizer.bos_token or "") + prompt

    def token_rows(
        self, texts: list[str], pictures: int | None, captions: str | list[str] | None = None, **text_kwargs
    ) -> dict[str, list[list[int]]]:
        """What `__call__` says of texts, for so many pictures (None: none) that are prepared elsewhere."""
        tokenizer = self.tokenizer
        prompts = self._prompts(texts, pictures)
        rows = tokenizer(prompts, add_special_tokens=False, padding=False, truncation=False)["input_ids"]
        padding = {name: text_kwargs[name] for name in ("max_length", "pad_to_multiple_of") if name in text_kwargs}
        padding["padding"] = text_kwargs.get("padding", True)
        if captions is None:
            side = text_kwargs.get("padding_side", "left")
            return dict(tokenizer.pad({"input_ids": rows}, padding_side=side, **padding))
        captions = [captions] if isinstance(captions, str) else list(captions)
        if len(captions) != len(rows):
            raise ValueError(f"{len(rows)} texts but {len(captions)} captions: pass one caption for each")
        endings = self._endings(captions, [len(row) for row in rows])
        whole = [row + ending for row, ending in zip(rows, endings, strict=True)]
        data = dict(tokenizer.pad({"input_ids": whole}, padding_side="right", **padding))
        longest = len(data["input_ids"][0]) if padding["padding"] else None
        data["labels"] = [
            [IGNORED] * len(row) + ending + [IGNORED] * ((longest or 0) - len(row) - len(ending))
            for row, ending in zip(rows, endings, strict=True)
        ]
        return data

    def _endings(self, captions: list[str], used: list[int]) -> list[list[int]]:
        """Each caption's tokens and the one that ends a text, cut to what the context leaves after `used` tokens."""
        for index, caption in enumerate(captions):
            check_sentence(caption, f"captions[{index}]")
        tokenizer = self.tokenizer
        ids = tokenizer(captions, add_special_tokens=False, padding=False, truncation=False)["input_ids"]
        room = [tokenizer.model_max_length - length - 1 for length in used]
        cut = [index for index, (row, limit) in enumerate(zip(ids, room, strict=True)) if len(row) > limit]
        if cut:
            warnings.warn(
                f"captions[{cut[0]}] and {len(cut) - 1} more are longer than the decoder's context of "
                f"{tokenizer.model_max_length} tokens and were cut: '{captions[cut[0]][:60]}...'. Lower "
                "image_seq_length, or take a decoder with a longer context and set tokenizer.model_max_length.",
                stacklevel=3,
            )
        return [[*row[: max(0, limit)], tokenizer.eos_token_id] for row, limit in zip(ids, room, strict=True)]

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs) -> list[str]:
        saved_files = super().save_pretrained(save_directory, push_to_hub, **kwargs)
        self.__dict__.pop("auto_map", None)  # belongs to the file: saving leaves the processor as it was
        return saved_files
