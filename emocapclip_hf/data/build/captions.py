"""Stage 3, captions: every kept face asked about once, and again, with the reason, while its caption is faulty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from .caption_faults import CheckOptions, Fault, Judged, agreement, judge
from .endpoint import Question
from .faces import faces_folder, kept_faces
from .prompt import VERSION
from .replies import Reply, ReplyJournal, Request
from .stage_folder import write_json
from .workers import map_in_order, process_pool


class Captioner(Protocol):
    """What answers questions: `EndpointCaptioner` or `LocalCaptioner`."""

    unanswered: int
    last_problem: str

    def recipe(self) -> dict[str, Any]: ...

    def answer(self, questions: Iterator[Question], record: Callable[[Request, Reply], None]) -> None: ...


class UnansweredError(RuntimeError):
    """Some questions got no answer; the same command asks them again."""


@dataclass(frozen=True)
class CaptionOptions:
    """
    Args:
        per_face: captions asked for of each face. With two, they are compared; the first is used.
        rounds: how often a face is asked about before its faulty caption is set aside.
        checks: what makes a caption faulty.
    """

    per_face: int = 1
    rounds: int = 3
    checks: CheckOptions = field(default_factory=CheckOptions)


def captions_path(out: Path) -> Path:
    return out / "captions"


def run_captions(
    out: Path, captioner_of: Callable[[int, int], Captioner], options: CaptionOptions, workers: int = 1
) -> dict[str, Any]:
    """Ask until every face has a good caption or has used up its rounds.

    Args:
        captioner_of: makes the captioner, given the requests and tokens that earlier runs spent.
    """
    with ReplyJournal(captions_path(out)) as journal:
        captioner = captioner_of(journal.spent.requests, journal.spent.tokens)
        journal.check_recipe({**captioner.recipe(), "prompt_version": VERSION})
        asked = []
        for round_ in range(1, options.rounds + 1):
            due = _unasked(out, journal, options) if round_ == 1 else _faulty(out, journal, options, round_, workers)
            asked.append(_ask(captioner, due, journal, f"Captions, round {round_}"))
            if captioner.unanswered:
                raise UnansweredError(
                    f"{captioner.unanswered:,} questions got no answer (the last problem: {captioner.last_problem}); "
                    "what was answered is kept, the same command asks the rest"
                )
        summary = {"asked": asked, "requests": journal.spent.requests, "tokens": journal.spent.tokens}
        write_json(journal.folder / "summary.json", summary)
        return summary


def _ask(captioner: Captioner, questions: Iterator[Question], journal: ReplyJournal, title: str) -> int:
    count = 0
    with tqdm(desc=title, unit=" captions", disable=None) as bar, closing(questions):

        def record(request: Request, reply: Reply) -> None:
            nonlocal count
            journal.append(request, reply)
            count += 1
            bar.update()

        captioner.answer(questions, record)
    return count


def _unasked(out: Path, journal: ReplyJournal, options: CaptionOptions) -> Iterator[Question]:
    """The first round: whatever has no reply yet."""
    folder = faces_folder(out)
    for unit in folder.plan():
        for row in kept_faces(folder, unit, ["image"]):
            for sample in range(options.per_face):
                request = Request(row["face"], sample)
                if request not in journal:
                    yield Question(request, row["image"])


def _faulty(
    out: Path, journal: ReplyJournal, options: CaptionOptions, round_: int, workers: int
) -> Iterator[Question]:
    """A later round: what was faulty in the one before, and has no reply in this one."""
    folder = faces_folder(out)
    due = {
        request: reasons
        for request, reasons in _judged_rounds(out, journal, options, round_, workers)
        if reasons and request not in journal
    }
    faces = {request.face for request in due}
    for unit in folder.plan():
        if not faces:
            return
        for row in kept_faces(folder, unit, ["image"]):
            if row["face"] in faces:
                faces.discard(row["face"])
                for sample in range(options.per_face):
                    request = Request(row["face"], sample, round_)
                    if request in due:
                        yield Question(request, row["image"], due[request])


def _judged_rounds(
    out: Path, journal: ReplyJournal, options: CaptionOptions, round_: int, workers: int
) -> Iterator[tuple[Request, tuple[str, ...]]]:
    """The requests of a round that the replies before it may call for, with the reasons; none if all was well.

    It hangs on nothing but the replies of earlier rounds, so a run that was killed asks what it would have asked.
    """
    work = partial(_judge_latest, options.checks)
    with process_pool(workers) as pool:
        for latest in map_in_order(pool, work, _latest_replies(out, journal, options, round_ - 1), workers):
            for sample, faults in enumerate(faults_of_face([judged for _, judged in latest], options.checks)):
                if latest[sample][0].round == round_ - 1:  # an older one was good, or its rounds are over
                    yield (
                        Request(latest[sample][0].face, sample, round_),
                        tuple(fault.reason for fault in faults),
                    )


Latest = list[tuple[Request, Reply]]  # one a sample


def _latest_replies(out: Path, journal: ReplyJournal, options: CaptionOptions, last_round: int) -> Iterator[Latest]:
    folder = faces_folder(out)
    for unit in folder.plan():
        for row in kept_faces(folder, unit, []):
            latest = [journal.latest(row["face"], sample, last_round) for sample in range(options.per_face)]
            if all(latest):
                yield latest


def _judge_latest(checks: CheckOptions, latest: Latest) -> list[tuple[Request, Judged]]:
    return [(request, judge(reply, checks)) for request, reply in latest]


def faults_of_face(judged: list[Judged], checks: CheckOptions) -> list[list[Fault]]:
    """The faults of each caption of a face; good captions that disagree are faulty together."""
    faults = [list(each.faults) for each in judged]
    if len(judged) > 1 and not any(faults) and (agreed := agreement(*judged[:2])) < checks.min_agreement:
        told = [", ".join(each.emotions) or "no emotion" for each in judged[:2]]
        reason = f"two descriptions of this face disagreed ({told[0]} and {told[1]}, agreement {agreed:.2f})"
        return [[Fault("disagreement", reason)] for _ in judged]
    return faults
