"""Cross-modal guided positive mining (our reading): which pairs beyond an image's own captions count as positives.

Another smiling face is no negative of "a happy face". Positives are mined, without gradient, in one modality and used
for the other: captions alike make image → text positives, images alike make text → image positives. On several
processes everything here is about this process's images and *all* processes' captions, and exact.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch.nn import functional as F

from .distributed import RowLayout, gather_rows, sum_over_ranks
from .embeddings import LEVELS, Captions

# Hundreds of times faster here than scatter_reduce_, which does not warn.
warnings.filterwarnings("ignore", message=r"index_reduce\(\) is in beta")

GUIDED_BY = ("none", "text", "image", "cross", "agree", "truth")
CALIBRATIONS = ("cosine", "centred")
BLOCK_BYTES = 64 * 2**20  # of similarities between captions held at once
TIE = (
    1e-6  # similarities closer than this are equal: the order of sums, so the number of processes, moves them as much
)


@dataclass(frozen=True)
class MiningRule:
    """How the positives of one level are mined. All conditions that are set must hold.

    Args:
        guided_by: "text": captions alike, for both directions; "image": images alike, for both; "cross": text guides
            image → text, image guides text → image; "agree": both demanded, for both directions; "truth": the
            dataset's own truth, the ceiling of what mining can do; "none": own captions only.
        calibration: "cosine" compares the guide's embeddings as they are; "centred" first subtracts their mean over
            the batch. While a model's space is still collapsed all cosines are near 1, and a threshold on them takes
            everything; centred cosines are spread around 0 from the first step.
        threshold: least similarity.
        top_k: at most so many neighbours of each caption or image (more only where they are tied).
        top_fraction: the same as a fraction of the batch: 0.02 takes the nearest 2 %.
        mutual: each must be among the nearest of the other.
        soft: weigh a mined positive by its similarity; own captions weigh 1.
        warmup_steps: before, the level's rule that comes before this one, or own captions only.
        by_level: whose captions are compared where texts guide; default: the level's own. With "summary" for "global",
            faces are alike if their summaries are, which say more; with ["global", "summary"] if what both say
            together is.
    """

    guided_by: str = "none"
    calibration: str = "centred"
    threshold: float | None = None
    top_k: int | None = None
    top_fraction: float | None = None
    mutual: bool = False
    soft: bool = False
    warmup_steps: int = 0
    by_level: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.guided_by not in GUIDED_BY:
            raise ValueError(f"guided_by is {self.guided_by!r}; choose from {', '.join(GUIDED_BY)}")
        if self.calibration not in CALIBRATIONS:
            raise ValueError(f"calibration is {self.calibration!r}; choose from {', '.join(CALIBRATIONS)}")
        if not set(self._by_levels) <= {"global", "summary"}:
            raise ValueError(
                f"by_level is {self.by_level!r}; it is global or summary or both, of which each image has one caption"
            )
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k is {self.top_k}; it must be at least 1. guided_by='none' mines nothing")
        if self.top_fraction is not None and not 0 < self.top_fraction <= 1:
            raise ValueError(f"top_fraction is {self.top_fraction}; it is a part of the batch, for instance 0.02")
        limits = (self.threshold, self.top_k, self.top_fraction)
        if self.guided_by not in ("none", "truth") and limits == (None, None, None):
            raise ValueError(
                f"guided_by={self.guided_by!r} with no limit would make every pair a positive. Set threshold, top_k "
                "or top_fraction."
            )

    @property
    def _by_levels(self) -> tuple[str, ...]:
        return (self.by_level,) if isinstance(self.by_level, str) else tuple(self.by_level or ())

    def compared(self, level: str) -> tuple[str, ...]:
        """Whose captions are compared where texts guide this level's mining."""
        return self._by_levels or (level,)

    @property
    def needs_texts(self) -> bool:
        return self.guided_by in ("text", "cross", "agree")

    @property
    def needs_images(self) -> bool:
        return self.guided_by in ("image", "cross", "agree")

    def neighbour_count(self, candidates: int) -> int | None:
        """How many neighbours each may have among so many candidates; None for no limit."""
        counts = [] if self.top_k is None else [self.top_k]
        if self.top_fraction is not None:
            counts.append(max(1, round(self.top_fraction * candidates)))
        return min(counts, default=None)


@dataclass
class Candidates:
    """One level's captions of all processes, as this process's images meet them.

    Args:
        embeds: (captions, dim), with gradient.
        owners: (captions,), the image that each describes, counted over all processes.
        keys: (captions,), equal for identical captions.
        images, captions: how images and captions lie on the processes.
    """

    embeds: torch.Tensor
    owners: torch.Tensor
    keys: torch.Tensor
    images: RowLayout
    captions: RowLayout

    @property
    def own(self) -> torch.Tensor:
        """Whose captions are whose: (images here, captions), bool."""
        return self.owners == self._image_numbers[:, None]

    @property
    def identical(self) -> torch.Tensor:
        """Captions that are one of an image's own, or read the same: (images here, captions), bool."""
        distinct, numbers = self.keys.unique(return_inverse=True)
        here = self.captions.local
        said = self.keys.new_zeros(len(self._image_numbers), len(distinct), dtype=torch.bool)
        said[self.owners[here] - self.images.local.start, numbers[here]] = True
        return said[:, numbers]

    @property
    def _image_numbers(self) -> torch.Tensor:
        here = self.images.local
        return torch.arange(here.start, here.stop, device=self.owners.device)


@dataclass
class Positives:
    """Weights in [0, 1] of this process's images and all captions; 0 is a negative.

    Args:
        for_images: (images, captions), what each image should find.
        for_captions: (images, captions), by which images each caption should be found.
    """

    for_images: torch.Tensor
    for_captions: torch.Tensor

    def targets(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The weights as distributions: each image's over captions, each caption's over *all* processes' images.

        Returns:
            image → caption targets (images, captions) and their transposed counterpart (captions, images), which are
            this process's part of it; and how many images of all processes have a positive.
        """
        masses = self.for_images.sum(dim=1, keepdim=True)  # (images, 1)
        reduced = torch.cat([self.for_captions.sum(dim=0), (masses > 0).sum()[None].to(masses.dtype)])
        *caption_masses, image_count = sum_over_ranks(reduced, "positives").split([len(reduced) - 1, 1])
        smallest = torch.finfo(masses.dtype).tiny
        for_images = self.for_images / masses.clamp_min(smallest)
        return for_images, (self.for_captions / caption_masses[0].clamp_min(smallest)).T, image_count[0]


class PositiveMiner:
    """Positives of each level by its rule.

    Own captions are always positive, and so are captions identical to them.

    Args:
        rules: level → its rule, or several of which each takes over after its `warmup_steps`, for instance when the
            model has learned enough to guide itself; a level without one has no mined positives.

    >>> first, then = MiningRule("text", "cosine", threshold=0.8), MiningRule("text", threshold=0.9, warmup_steps=250)
    >>> miner = PositiveMiner({"local": [first, then]})
    >>> miner.rule("local", 249).calibration, miner.rule("local", 250).calibration, miner.rule("global", 0).guided_by
    ('cosine', 'centred', 'none')
    """

    def __init__(self, rules: Mapping[str, MiningRule | Sequence[MiningRule]] | None = None):
        self.rules = {
            level: [rule] if isinstance(rule, MiningRule) else list(rule) for level, rule in (rules or {}).items()
        }
        for level, some in self.rules.items():
            if level not in LEVELS:
                raise ValueError(f"there is a mining rule for {level!r}; the levels are {', '.join(LEVELS)}")
            if level == "local" and any(rule.compared(level) != (level,) for rule in some):
                raise ValueError("the local level compares local sentences: leave by_level out of its mining rule")
            starts = [rule.warmup_steps for rule in some]
            if any(later <= earlier for earlier, later in pairwise(starts)):
                raise ValueError(f"the {level} level's mining rules have warmup_steps {starts}; they must increase")

    def rule(self, level: str, step: int) -> MiningRule:
        """The one in force."""
        begun = [rule for rule in self.rules.get(level, []) if rule.warmup_steps <= step]
        return begun[-1] if begun else MiningRule()

    @torch.no_grad()
    def __call__(
        self,
        level: str,
        candidates: Candidates,
        texts: torch.Tensor | None = None,
        images: torch.Tensor | None = None,
        truth: torch.Tensor | None = None,
        step: int = 0,
        unsampled: Captions | None = None,
    ) -> Positives:
        """
        Args:
            level: whose rule to follow.
            candidates: the captions.
            texts: (captions, guide dim), the guide's embeddings of them; (levels, captions, guide dim) where the rule
                compares the captions of several.
            images: (images of all processes, guide dim), the guide's embeddings of the images.
            truth: (images here, captions), bool, for guided_by="truth".
            step: of training, which says what rule is in force.
            unsampled: what else is said of the images here, as the guide embeds it: a caption near one of these is a
                positive of the image too.
        """
        rule = self.rule(level, step)
        exact = candidates.identical.to(torch.promote_types(candidates.embeds.dtype, torch.float32))
        if rule.guided_by == "none":
            return Positives(exact, exact)
        mined = self._mined(level, rule, candidates, texts, images, truth, unsampled)
        return Positives(*(torch.maximum(weights.to(exact.dtype), exact) for weights in mined))

    def _mined(self, level, rule, candidates, texts, images, truth, unsampled) -> tuple[torch.Tensor, torch.Tensor]:
        if rule.guided_by == "truth":
            return (_required(truth, level, rule, "truth, from columns such as SynthFaces'"),) * 2
        if rule.needs_texts:
            vectors = _required(texts, level, rule, "a guide that embeds texts")
            by_text = neighbours(vectors, candidates.owners, candidates.captions, candidates.images, rule, unsampled)
        if rule.needs_images:
            vectors = _required(images, level, rule, "a guide that embeds images; guided_by='text' needs texts alone")
            numbers = torch.arange(len(vectors), device=vectors.device)
            by_image = [
                weights[:, candidates.owners]  # an image stands for its captions
                for weights in neighbours(vectors, numbers, candidates.images, candidates.images, rule)
            ]
        if rule.guided_by == "agree":
            return torch.minimum(by_text[0], by_image[0]), torch.minimum(by_text[1], by_image[1])
        if rule.guided_by == "cross":
            return by_text[0], by_image[1]
        return by_text if rule.guided_by == "text" else by_image


def _required(tensor: torch.Tensor | None, level: str, rule: MiningRule, what: str) -> torch.Tensor:
    if tensor is None:
        raise ValueError(
            f"Mining at the {level} level with guided_by={rule.guided_by!r} needs {what}; none was given."
        )
    return tensor


def neighbours(
    vectors: torch.Tensor,
    owners: torch.Tensor,
    layout: RowLayout,
    images: RowLayout,
    rule: MiningRule,
    unsampled: Captions | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which captions (or images) are near one of an image's own, by one modality's embeddings.

    Args:
        vectors: (captions, dim), of all processes; (levels, captions, dim) is as much as what all levels say together.
        owners: (captions,), the image each belongs to.
        layout, images: how captions and images lie on the processes.
        rule: calibration, limits and softness.
        unsampled: more captions of the images here, which count like their own without being found themselves.

    Returns:
        Two (images here, captions) of weights in [0, 1]: near by the limits of the image's own captions, and by those
        of the caption itself. Limits differ only where neighbours are counted.
    """
    calibrate = calibration(vectors, rule)
    vectors, here = calibrate(vectors), layout.local
    own, own_owners = vectors[here], owners[here]  # what is said of the images here, and of which
    if unsampled is not None:
        own = torch.cat([own, calibrate(unsampled.embeds)])
        own_owners = torch.cat([own_owners, unsampled.owners + images.local.start])
    own_limits = _least_similarities(own, own_owners, vectors, owners, rule)  # (own,)
    limits = gather_rows(own_limits[: here.stop - here.start], layout, "mining limits")  # (captions,)
    counted = rule.neighbour_count(len(vectors)) is not None
    shape = (images.counts[images.rank], len(vectors))
    for_images = vectors.new_zeros(shape)
    for_captions = vectors.new_zeros(shape) if counted and not rule.mutual else for_images
    for rows in _blocks(len(own), len(vectors) * vectors.element_size()):
        similarity = own[rows] @ vectors.T  # (captions of the block, captions)
        near, near_back = similarity >= own_limits[rows, None], similarity >= limits
        if rule.mutual:
            near &= near_back
        strength = similarity.clamp(0, 1) if rule.soft else torch.ones_like(similarity)
        image = own_owners[rows] - images.local.start
        for_images.index_reduce_(0, image, near * strength, "amax")
        if for_captions is not for_images:
            for_captions.index_reduce_(0, image, near_back * strength, "amax")
    return for_images, for_captions


def calibration(vectors: torch.Tensor, rule: MiningRule) -> Callable[[torch.Tensor], torch.Tensor]:
    """What makes vectors unit vectors whose dot products are the rule's similarities, by the captions of the batch."""

    def unit(some: torch.Tensor) -> torch.Tensor:
        return F.normalize(some.to(torch.promote_types(some.dtype, torch.float32)), dim=-1)

    def together(some: torch.Tensor) -> torch.Tensor:
        return some if some.ndim == 2 else F.normalize(some.sum(dim=0), dim=-1)

    if rule.calibration == "cosine":
        return lambda some: together(unit(some))
    mean = unit(vectors).mean(dim=-2, keepdim=True)
    return lambda some: together(F.normalize(unit(some) - mean, dim=-1))


def _least_similarities(
    own: torch.Tensor, own_owners: torch.Tensor, vectors: torch.Tensor, owners: torch.Tensor, rule: MiningRule
) -> torch.Tensor:
    """What similarity a neighbour of each caption must have at least, by threshold and rank: (own,)."""
    threshold = -float("inf") if rule.threshold is None else rule.threshold
    count = rule.neighbour_count(len(vectors))
    if count is None or len(vectors) == 0:
        return own.new_full((len(own),), threshold)
    kth = []
    for rows in _blocks(len(own), len(vectors) * vectors.element_size()):
        similarity = own[rows] @ vectors.T
        same_image = own_owners[rows, None] == owners  # positives anyway: they take no neighbour's place
        similarity.masked_fill_(same_image, -float("inf"))
        kth.append(similarity.topk(min(count, len(vectors)), dim=1).values[:, -1] - TIE)
    return (torch.cat(kth) if kth else own.new_zeros(0)).clamp_min(threshold)


def _blocks(rows: int, row_bytes: int) -> Iterator[slice]:
    size = max(1, BLOCK_BYTES // max(row_bytes, 1))
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))
