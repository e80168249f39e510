"""A small tokenizer for a decoder that writes captions: its tokens may be whole phrases.

Byte-pair merges that may cross spaces make tokens of what captions repeat ("The corners of the lips are"). A caption
is then half as many tokens as with words, and half as much work to learn and to write.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from .tokenizer import BOS, EOS, PAD, UNK

IMAGE = "<image>"
SPECIAL_TOKENS = (PAD, UNK, BOS, EOS, IMAGE)
LONGEST_TOKEN = 32  # characters
_CLAUSE_END = r"[.,:;!?]"  # no token goes on behind it


def train_phrase_tokenizer(
    captions: Iterable[str], vocab_size: int = 1024, model_max_length: int = 256
) -> PreTrainedTokenizerFast:
    """Train it on whole captions, case and all; the same captions in the same order give the same tokenizer.

    >>> tokenizer = train_phrase_tokenizer(["The lips are parted. The lips are closed."] * 9, vocab_size=39)
    >>> ids = tokenizer("The lips are parted.")["input_ids"]
    >>> tokenizer.convert_ids_to_tokens(ids), tokenizer.decode(ids)
    (['▁The▁lips▁are▁', 'par', 'ted.'], 'The lips are parted.')
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="always", split=False),
            pre_tokenizers.Split(Regex(_CLAUSE_END), "merged_with_previous"),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        max_token_length=LONGEST_TOKEN,
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    if tokenizer.get_vocab_size() <= len(SPECIAL_TOKENS):
        raise ValueError("there are no captions to train a tokenizer on")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=model_max_length,
        pad_token=PAD,
        unk_token=UNK,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens=[IMAGE],
        padding_side="left",
    )
