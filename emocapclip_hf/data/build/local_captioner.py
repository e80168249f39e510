"""A captioner on this machine: any `image-text-to-text` model of transformers, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import torch
from PIL import Image

from ..image_reading import decode_image
from .endpoint import Question
from .prompt import prompt_text
from .replies import LONGEST_REPLY, Reply, Request


@dataclass(frozen=True)
class LocalOptions:
    """
    Args:
        model: a folder or a name on the Hub, of a model with a processor.
        batch_size: faces at a time.
        max_tokens: of the answer.
        temperature: 0 for the likeliest words.
        device: "cuda", "cpu", ...; by default an accelerator where there is one.
    """

    model: str
    batch_size: int = 8
    max_tokens: int = 1200
    temperature: float = 0.0
    device: str | None = None


class LocalCaptioner:
    """Loads the model when the first question comes."""

    unanswered = 0
    last_problem = ""

    def __init__(self, options: LocalOptions):
        self.options = options
        self._loaded: tuple[Any, Any] | None = None

    def recipe(self) -> dict[str, Any]:
        kept = ("model", "max_tokens", "temperature")
        return {"captioner": "local", **{name: asdict(self.options)[name] for name in kept}}

    def answer(self, questions: Iterator[Question], record: Callable[[Request, Reply], None]) -> None:
        """Ask in batches; each batch is recorded when it is done."""
        while batch := list(islice(questions, self.options.batch_size)):
            for question, reply in zip(batch, self._answer_batch(batch), strict=True):
                record(question.request, reply)

    @torch.inference_mode()
    def _answer_batch(self, batch: list[Question]) -> list[Reply]:
        processor, model = self._load()
        pictures = [decode_image(question.image) for question in batch]
        texts = [prompt_text(question.faults) for question in batch]
        inputs = _inputs(processor, pictures, texts).to(model.device, model.dtype)
        # the samples of one face must differ, and come out the same when asked again
        torch.manual_seed(batch[0].request.sample)
        sampling = {"do_sample": True, "temperature": self.options.temperature} if self.options.temperature else {}
        ids = model.generate(**inputs, max_new_tokens=self.options.max_tokens, **(sampling or {"do_sample": False}))
        answers = ids[:, inputs["input_ids"].shape[1] :]  # (faces, new tokens)
        texts = processor.batch_decode(answers, skip_special_tokens=True)
        return [
            self._reply(text, answer.tolist(), int(mask.sum()), _end_ids(model))
            for text, answer, mask in zip(texts, answers, inputs["attention_mask"], strict=True)
        ]

    def _reply(self, text: str, answer: list[int], prompt_tokens: int, ends: list[int]) -> Reply:
        """What stands behind the first end is padding."""
        length = next((place for place, token in enumerate(answer, 1) if token in ends), len(answer))
        finished = length < self.options.max_tokens or answer[length - 1] in ends
        text = text.strip()[:LONGEST_REPLY]
        finish = "stop" if finished else "length"
        return Reply(text, finish, self.options.model, prompt_tokens=prompt_tokens, completion_tokens=length)

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            from transformers import AutoModelForImageTextToText, AutoProcessor

            device = self.options.device or ("cuda" if torch.cuda.is_available() else "cpu")
            processor = AutoProcessor.from_pretrained(self.options.model)
            tokenizer = getattr(processor, "tokenizer", processor)
            tokenizer.padding_side = "left"  # answers begin where prompts end
            if tokenizer.pad_token is None:
                tokenizer.pad_token = tokenizer.eos_token
            model = AutoModelForImageTextToText.from_pretrained(self.options.model, dtype="auto").to(device).eval()
            self._loaded = processor, model
        return self._loaded


def _inputs(processor: Any, pictures: list[Image.Image], texts: list[str]) -> Any:
    """Through the chat template, as chat models expect; models without one take picture and text as they are."""
    if not getattr(processor, "chat_template", None):
        return processor(images=pictures, text=texts, padding=True, return_tensors="pt")
    chats = [
        [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": text}]}]
        for picture, text in zip(pictures, texts, strict=True)
    ]
    return processor.apply_chat_template(
        chats,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )


def _end_ids(model: Any) -> list[int]:
    ends = model.generation_config.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
