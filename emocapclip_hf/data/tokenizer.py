"""A small tokenizer, trained on the captions at hand, and a processor around it.

CLIP's vocabulary of 49,408 tokens would be most of a small model's weights. Captions of faces need some hundreds of
words; a unigram vocabulary that sentencepiece trains on them covers those in about as many tokens a sentence.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers.utils import is_torchvision_available

from ..processing import EmoCapCLIPProcessor, EmoCapCLIPTokenizer, read_captions
from .caption import EmoCaption

# CLIP's text tower takes an `eos_token_id` of 2 for a mark of old checkpoints and pools elsewhere: </s> must not be 2.
SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")
PAD, UNK, BOS, EOS = SPECIAL_TOKENS


def train_tokenizer(
    captions: Iterable[str | EmoCaption], vocab_size: int = 2048, model_max_length: int = 77
) -> EmoCapCLIPTokenizer:
    """Train a unigram tokenizer; the same captions in the same order give the same tokenizer.

    Args:
        captions: texts, or captions, whose sentences then count as texts.
        vocab_size: how many tokens, special ones included. Lowered, with a warning, when the texts have too little
            variety for so many.
        model_max_length: longer texts are cut to this many tokens; the text tower's `max_position_embeddings`.

    >>> tokenizer = train_tokenizer(["The lips are parted.", "The brows are raised."] * 10, vocab_size=20)
    >>> tokenizer.decode(tokenizer("The brows are parted.")["input_ids"])
    '<s> the brows are parted.</s>'
    """
    if model_max_length < 3:
        raise ValueError(f"model_max_length={model_max_length} leaves no room for a word between <s> and </s>")
    normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    texts = [normalizer.normalize_str(text) for text in _texts(captions)]
    if not texts:
        raise ValueError("there are no captions to train a tokenizer on")
    pieces = _train_unigram(texts, vocab_size)
    if len(pieces) < vocab_size:
        warnings.warn(
            f"vocab_size={vocab_size} was lowered to {len(pieces)}: {len(texts)} texts have no more pieces than that",
            stacklevel=2,
        )
    return _fast_tokenizer(pieces, normalizer, model_max_length)


def small_processor(
    captions: Iterable[str | EmoCaption], image_size: int = 64, vocab_size: int = 2048, model_max_length: int = 77
) -> EmoCapCLIPProcessor:
    """A processor for a small model: square pictures of `image_size`, and a tokenizer trained on `captions`."""
    if is_torchvision_available():
        from transformers import CLIPImageProcessor
    else:
        from transformers import CLIPImageProcessorPil as CLIPImageProcessor
    image_processor = CLIPImageProcessor(size={"shortest_edge": image_size}, crop_size=image_size)
    return EmoCapCLIPProcessor(image_processor, train_tokenizer(captions, vocab_size, model_max_length))


def _texts(captions: Iterable[str | EmoCaption]) -> Iterator[str]:
    if isinstance(captions, str):
        raise TypeError("captions is one string; pass a list of texts or captions")
    for row, caption in enumerate(captions):
        if not isinstance(caption, str):
            (levels,) = read_captions(caption)
            yield from (levels.global_caption, *levels.local_captions, levels.summary_caption)
        elif caption.strip():
            yield caption
        else:
            raise ValueError(f"captions[{row}] is empty: leave it out")


def _train_unigram(texts: list[str], vocab_size: int) -> list[tuple[str, float]]:
    """Pieces and their log probabilities, in the order of their ids; at most `vocab_size`."""
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type="unigram",
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            normalization_rule_name="identity",  # the texts are normalised already
            max_sentence_length=max(len(text.encode()) for text in texts) + 1,  # longer ones would be left out
            num_threads=1,  # sums in another order would differ in the last bits
            minloglevel=2,
            **{f"{name}_id": index for index, name in enumerate(("pad", "unk", "bos", "eos"))},
        )
    except RuntimeError as error:
        characters = len({"▁", *"".join(texts)} - {" "})
        raise ValueError(
            f"sentencepiece cannot train {vocab_size} pieces on {len(texts)} texts of {characters} different "
            f"characters; vocab_size must be at least {characters + len(SPECIAL_TOKENS)}: {error}"
        ) from error
    trained = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [(trained.id_to_piece(index), trained.get_score(index)) for index in range(trained.get_piece_size())]


def _fast_tokenizer(
    pieces: list[tuple[str, float]], normalizer: normalizers.Normalizer, model_max_length: int
) -> EmoCapCLIPTokenizer:
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=SPECIAL_TOKENS.index(UNK)))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}",
        special_tokens=[(token, SPECIAL_TOKENS.index(token)) for token in (BOS, EOS)],
    )
    return EmoCapCLIPTokenizer(
        tokenizer_object=tokenizer,
        model_max_length=model_max_length,
        pad_token=PAD,
        unk_token=UNK,
        bos_token=BOS,
        eos_token=EOS,
        padding_side="right",
    )
