"""The client of an OpenAI-compatible endpoint, against one that misbehaves."""

import hashlib
import json
import socket

import pytest
from loopback_captioner import LoopbackCaptioner

from emocapclip_hf.data.build.endpoint import EndpointCaptioner, EndpointError, EndpointOptions, Question
from emocapclip_hf.data.build.pacing import Backoff, Budget, BudgetSpentError, RateLimit, parse_retry_after
from emocapclip_hf.data.build.replies import LONGEST_REPLY, Reply, ReplyJournal, Request

KEY = "sk-secret-0123456789"


def questions(count: int) -> list[Question]:
    return [Question(Request(f"face {number}"), b"picture %d" % number) for number in range(count)]


def truth(count: int) -> dict[str, str]:
    return {hashlib.sha256(q.image).hexdigest(): f"caption of {q.request.face}" for q in questions(count)}


def ask(server: LoopbackCaptioner, count: int, so_far=(0, 0), **options) -> tuple[dict[str, Reply], EndpointCaptioner]:
    """Every question asked; fails if one was recorded twice."""
    options = {"concurrency": 8, "first_wait": 0.01, "timeout": 5.0} | options
    captioner = EndpointCaptioner(EndpointOptions(server.url, "any", **options), *so_far)
    recorded: dict[str, Reply] = {}

    def record(request: Request, reply: Reply) -> None:
        assert request.face not in recorded
        recorded[request.face] = reply

    try:
        captioner.answer(iter(questions(count)), record)
    except (EndpointError, BudgetSpentError) as error:
        error.recorded = recorded
        raise
    return recorded, captioner


def test_every_question_is_asked_once_and_never_too_many_at_a_time():
    with LoopbackCaptioner(truth(40), delay=0.02) as server:
        recorded, _ = ask(server, 40)
        assert {face: reply.text for face, reply in recorded.items()} == {
            f"face {number}": f"caption of face {number}" for number in range(40)
        }
        assert len(server.log) == 40
        assert 2 <= server.most_under_way <= 8
    reply = recorded["face 0"]
    assert (reply.model, reply.finish, reply.tries) == ("loopback-1", "stop", 1)
    assert (reply.prompt_tokens, reply.completion_tokens) == (900, 350)


@pytest.mark.parametrize("misbehaviour", ["too_many", "too_many_wait", "error", "hang", "cut", "garbage"])
def test_what_goes_wrong_on_the_way_is_tried_again(misbehaviour):
    """Every third question goes wrong the first two times."""
    wrong = lambda asked: misbehaviour if asked.picture[0] in "01234" and asked.before < 2 else None  # noqa: E731
    with LoopbackCaptioner(truth(12), wrong) as server:
        recorded, captioner = ask(server, 12, timeout=0.5 if misbehaviour == "hang" else 5.0)
        assert {reply.text for reply in recorded.values()} == set(truth(12).values())
        tries = sum(reply.tries for reply in recorded.values())
        assert tries == len(server.log) > 12
    assert captioner.last_problem


def test_the_wait_that_the_endpoint_asks_for_is_kept():
    waits = []
    with LoopbackCaptioner(truth(1), lambda asked: "too_many_wait" if asked.before == 0 else None) as server:
        options = EndpointOptions(server.url, "any", concurrency=1)
        captioner = EndpointCaptioner(options)
        keep = captioner._backoff.seconds
        captioner._backoff.seconds = lambda tries, after: waits.append(after) or keep(tries, after)
        captioner.answer(iter(questions(1)), lambda *_: None)
    assert waits == [0.3]
    assert 0.3 <= Backoff().seconds(1, 0.3) <= 0.6
    assert all(0 <= Backoff(1, 8).seconds(tries, None) <= min(8, 2 ** (tries - 1)) for tries in range(1, 9))
    assert parse_retry_after("inf") is None and parse_retry_after("-3") == 0


def test_a_question_that_nobody_answers_is_left_for_the_next_run():
    lost = hashlib.sha256(b"picture 3").hexdigest()
    with LoopbackCaptioner(truth(6), lambda asked: "error" if asked.picture == lost else None) as server:
        recorded, captioner = ask(server, 6, max_tries=3)
        assert len(recorded) == 5 and captioner.unanswered == 1 and "HTTP 500" in captioner.last_problem
        assert len(server.log) == 5 + 3


@pytest.mark.parametrize(
    ("misbehaviour", "finish", "text"),
    [("truncated", "length", "caption of face 0"), ("huge", "oversized", ""), ("formal_refusal", "stop", "")],
)
def test_what_the_model_does_wrong_is_recorded_as_it_came(misbehaviour, finish, text):
    with LoopbackCaptioner(truth(4), lambda asked: misbehaviour if asked.number == 3 else None) as server:
        recorded, _ = ask(server, 4, concurrency=1)
    reply = recorded["face 3"]
    assert reply.finish == finish and len(reply.text) <= LONGEST_REPLY and reply.text.startswith(text[:10])
    assert (reply.refused is not None) == (misbehaviour == "formal_refusal")


def test_a_single_refused_question_is_a_refusal_and_a_refused_form_ends_the_run():
    with LoopbackCaptioner(truth(5), lambda asked: "content_filter" if asked.number == 0 else None) as server:
        recorded, _ = ask(server, 5, concurrency=1)
        assert "content filter" in recorded["face 0"].refused and len(recorded) == 5
    with (
        LoopbackCaptioner(truth(30), lambda asked: "unknown_form") as server,
        pytest.raises(EndpointError, match=r"response_format is not supported.*--structure none") as ended,
    ):
        ask(server, 30)
    assert ended.value.recorded == {}


@pytest.mark.parametrize(
    ("misbehaviour", "told"), [("unauthorised", "OPENAI_API_KEY"), ("wait_long", "asks to wait 86,400 s")]
)
def test_what_no_try_would_change_ends_the_run_at_once(misbehaviour, told, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with (
        LoopbackCaptioner(truth(50), lambda asked: misbehaviour, delay=0.05) as server,
        pytest.raises(EndpointError, match=told),
    ):
        ask(server, 50)
    assert len(server.log) <= 8


def test_an_endpoint_that_is_down_ends_the_run():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"  # nobody listens
        captioner = EndpointCaptioner(EndpointOptions(address, "any", first_wait=0.001, max_tries=2, concurrency=4))
        with pytest.raises(EndpointError, match="10 questions in a row got no answer"):
            captioner.answer(iter(questions(1000)), lambda *_: None)


def test_the_key_goes_to_the_endpoint_and_nowhere_else(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MY_KEY", KEY)
    with LoopbackCaptioner(lambda picture, seed: f"you said Bearer {KEY}") as server:
        captioner = EndpointCaptioner(EndpointOptions(server.url, "any", api_key_env="MY_KEY"))
        with ReplyJournal(tmp_path) as journal:
            journal.check_recipe(captioner.recipe())
            captioner.answer(iter(questions(3)), journal.append)
        assert {asked.authorization for asked in server.log} == {f"Bearer {KEY}"}
    with LoopbackCaptioner(truth(3), lambda asked: "unauthorised") as server:
        captioner = EndpointCaptioner(EndpointOptions(server.url, "any", api_key_env="MY_KEY"))
        with pytest.raises(EndpointError) as error:
            captioner.answer(iter(questions(3)), lambda *_: None)
    assert "[key]" in str(error.value)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()).decode()
    assert "[key]" in written
    assert KEY not in written + str(error.value) + repr(captioner.options) + "".join(capsys.readouterr())


def test_the_budget_bounds_requests_and_tokens_over_all_runs():
    with LoopbackCaptioner(truth(50), delay=0.01) as server:
        with pytest.raises(BudgetSpentError, match="20 requests is spent") as ended:
            ask(server, 50, max_requests=20)
        assert len(server.log) == len(ended.value.recorded) == 20
        with pytest.raises(BudgetSpentError) as ended:
            ask(server, 50, so_far=(15, 99), max_requests=20)
        assert len(ended.value.recorded) == 5
    with LoopbackCaptioner(truth(50), delay=0.01) as server:
        with pytest.raises(BudgetSpentError, match="takes up to 1,250") as ended:
            ask(server, 50, max_tokens_in_all=20_000)
        assert len(ended.value.recorded) == 20_000 // 1250 and len(server.log) == 16


def test_failed_tries_count_as_requests_and_free_their_tokens():
    budget = Budget(3, 5000)
    budget.settle(budget.reserve(), 0)
    assert (budget.requests, budget.tokens, budget.expected_tokens) == (1, 0, 2000)
    budget.settle(budget.reserve(), 300)
    assert (budget.requests, budget.tokens, budget.expected_tokens) == (2, 300, 300)
    budget.settle(budget.reserve(), 250)
    assert (budget.tokens, budget.expected_tokens) == (550, 300)
    with pytest.raises(BudgetSpentError, match="3 requests"):
        budget.reserve()


def test_rates_space_requests_evenly(monkeypatch):
    import asyncio

    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("emocapclip_hf.data.build.pacing.asyncio.sleep", sleep)
    monkeypatch.setattr("emocapclip_hf.data.build.pacing.time.monotonic", lambda: 100.0)

    async def three():
        limit = RateLimit(30)  # one in two seconds
        for _ in range(3):
            await limit.wait()
        await RateLimit(None).wait(1000)

    asyncio.run(three())
    assert slept == [2.0, 4.0]
    with pytest.raises(ValueError, match="above 0"):
        RateLimit(0)


def test_a_torn_line_is_cut_off_and_nothing_else(tmp_path):
    with ReplyJournal(tmp_path) as journal:
        for number in range(3):
            journal.append(Request(f"face {number}"), Reply(f"a ünicode caption {number}", prompt_tokens=10))
    whole = journal.path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in (1, 20, len(lines[2]) - 1):
        journal.path.write_bytes(whole[:-cut])
        with ReplyJournal(tmp_path) as journal:
            assert Request("face 1") in journal and Request("face 2") not in journal
            assert (journal.spent.requests, journal.spent.tokens) == (2, 20)
            journal.append(Request("face 2"), Reply("again"))
            assert journal.get(Request("face 1")).text == "a ünicode caption 1"
            assert journal.get(Request("face 2")).text == "again"
        assert [json.loads(line)["request"]["face"] for line in journal.path.read_text().splitlines()] == [
            "face 0",
            "face 1",
            "face 2",
        ]


def test_two_recipes_in_one_folder_are_refused(tmp_path):
    with ReplyJournal(tmp_path) as journal:
        journal.check_recipe({"model": "a", "temperature": 0})
        journal.check_recipe({"model": "a", "temperature": 0})
        with pytest.raises(ValueError, match="model was 'a', now 'b'"):
            journal.check_recipe({"model": "b", "temperature": 0})


def test_one_writer_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("emocapclip_hf.data.build.replies._PATIENCE", 0)
    with ReplyJournal(tmp_path), pytest.raises(RuntimeError, match="another process"), ReplyJournal(tmp_path):
        pass


@pytest.mark.parametrize(
    ("options", "told"),
    [({"structure": "xml"}, "json_schema, json_object, none"), ({"url": "localhost"}, "no address")],
)
def test_wrong_options_are_named(options, told):
    with pytest.raises(ValueError, match=told):
        EndpointOptions(**{"url": "http://127.0.0.1/v1", "model": "m"} | options)
