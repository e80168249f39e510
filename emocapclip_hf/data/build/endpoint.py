"""A captioner behind any OpenAI-compatible endpoint: vLLM, `transformers serve`, hosted models."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from .pacing import Backoff, Budget, BudgetSpentError, RateLimit, parse_retry_after
from .prompt import SCHEMA, prompt_text
from .replies import LONGEST_REPLY, Reply, Request

if TYPE_CHECKING:
    import aiohttp

_LARGEST_BODY = 2**20  # bytes of an answer; a caption with all its trimmings has a hundredth of that
_STRUCTURES = {
    "json_schema": {
        "type": "json_schema",
        "json_schema": {"name": "emotion_caption", "strict": True, "schema": SCHEMA},
    },
    "json_object": {"type": "json_object"},
    "none": None,
}


class Question(NamedTuple):
    request: Request
    image: bytes  # a JPEG
    faults: tuple[str, ...] = ()  # of an earlier answer


class EndpointError(RuntimeError):
    """The endpoint will not answer, and asking on would not help."""


class _TryAgainError(Exception):
    def __init__(self, why: str, retry_after: float | None = None):
        super().__init__(why)
        self.retry_after = retry_after


@dataclass(frozen=True)
class EndpointOptions:
    """
    Args:
        url: up to and with the version: `http://127.0.0.1:8000/v1`.
        model: as the endpoint calls it.
        api_key_env: the environment variable that holds the key, if there is one; the key is never written anywhere.
        structure: how the JSON is asked for: json_schema, json_object, or none for endpoints that know neither.
        temperature, max_tokens: of the answer.
        concurrency: requests under way at a time.
        requests_per_minute, tokens_per_minute: None for no limit.
        timeout: seconds for one request, from connecting to the last byte.
        max_tries: of one request, before it is left for the next run.
        longest_wait: seconds; an endpoint that asks to wait longer is not waited for.
        max_requests, max_tokens_in_all: a budget for the folder, over all runs; None for no bound.
    """

    url: str
    model: str
    api_key_env: str = "OPENAI_API_KEY"
    structure: str = "json_schema"
    temperature: float = 0.2
    max_tokens: int = 1200
    concurrency: int = 32
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout: float = 120.0
    max_tries: int = 6
    first_wait: float = 1.0
    longest_wait: float = 120.0
    max_requests: int | None = None
    max_tokens_in_all: int | None = None

    def __post_init__(self) -> None:
        if self.structure not in _STRUCTURES:
            raise ValueError(f"--structure {self.structure!r}: choose from {', '.join(_STRUCTURES)}")
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"--endpoint {self.url!r} is no address; it looks like http://127.0.0.1:8000/v1")


class EndpointCaptioner:
    """Asks many questions at a time. `unanswered` counts those that no try got an answer to."""

    def __init__(self, options: EndpointOptions, requests_so_far: int = 0, tokens_so_far: int = 0):
        self.options = options
        self.unanswered = 0
        self.last_problem = ""
        self._key = os.environ.get(options.api_key_env, "")
        self._backoff = Backoff(options.first_wait, options.longest_wait)
        self._requests = RateLimit(options.requests_per_minute)
        self._tokens = RateLimit(options.tokens_per_minute)
        self._budget = Budget(options.max_requests, options.max_tokens_in_all, requests_so_far, tokens_so_far)
        self._paused_until = 0.0
        self._stopping = False
        self._answered_before = tokens_so_far > 0

    def recipe(self) -> dict[str, Any]:
        """What a caption depends on."""
        kept = ("model", "structure", "temperature", "max_tokens")
        return {"captioner": "endpoint", **{name: asdict(self.options)[name] for name in kept}}

    def answer(self, questions: Iterator[Question], record: Callable[[Request, Reply], None]) -> None:
        """Ask every question, and record each reply when it comes, in the order they come.

        Raises:
            BudgetSpentError: after those under way have been recorded.
            EndpointError: if asking on would not help: a wrong key, an unknown model, an endpoint that is down.
        """
        proof = _Proof(record, self._answered_before)
        asyncio.run(self._answer(questions, proof))
        proof.close()

    async def _answer(self, questions: Iterator[Question], record: _Proof) -> None:
        import aiohttp

        options = self.options
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=options.concurrency),
            timeout=aiohttp.ClientTimeout(total=options.timeout),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
        ) as session:
            askers = [
                asyncio.create_task(self._ask_on(session, questions, record)) for _ in range(options.concurrency)
            ]
            done, under_way = await asyncio.wait(askers, return_when=asyncio.FIRST_EXCEPTION)
            errors = [task.exception() for task in done if task.exception()]
            if errors and under_way:  # no new questions; the answers under way are paid for
                self._stopping = True
                done, _ = await asyncio.wait(under_way)
                errors += [task.exception() for task in done if task.exception()]
            if errors:
                raise next((error for error in errors if not isinstance(error, BudgetSpentError)), errors[0])

    async def _ask_on(self, session: aiohttp.ClientSession, questions: Iterator[Question], record: _Proof) -> None:
        while not self._stopping and (question := next(questions, None)) is not None:
            reply = await self._ask(session, question)
            if reply is not None:
                record(question.request, reply)
            elif not self._stopping:
                self.unanswered += 1
                record.no_answer(self.last_problem)

    async def _ask(self, session: aiohttp.ClientSession, question: Question) -> Reply | None:
        """The reply of the first try that brings one; None if none does."""
        body = self._body(question)
        for tries in range(1, self.options.max_tries + 1):
            while (pause := self._paused_until - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            reserved = self._budget.reserve()
            tokens = 0
            try:
                await self._requests.wait()
                await self._tokens.wait(reserved)
                reply = await self._try(session, body, tries)
                tokens = reply.prompt_tokens + reply.completion_tokens
                return reply
            except _TryAgainError as problem:
                self.last_problem = self._without_key(str(problem))
                if problem.retry_after is not None and problem.retry_after > self.options.longest_wait:
                    raise EndpointError(
                        f"{self.options.url} asks to wait {problem.retry_after:,.0f} s ({self.last_problem}); run the "
                        "same command again after that, what was answered is kept"
                    ) from None
                wait = self._backoff.seconds(tries, problem.retry_after)
                if problem.retry_after is not None:  # it speaks to all of us
                    self._paused_until = max(self._paused_until, time.monotonic() + problem.retry_after)
            finally:
                self._budget.settle(reserved, tokens)
            if self._stopping or tries == self.options.max_tries:
                break
            await asyncio.sleep(wait)
        return None

    async def _try(self, session: aiohttp.ClientSession, body: bytes, tries: int) -> Reply:
        import aiohttp

        url = f"{self.options.url.rstrip('/')}/chat/completions"
        headers = {"Content-Type": "application/json"}
        try:
            # redirects are not followed: the key is meant for this host alone
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                content = await _read(response.content)
                if response.status == 200:
                    return self._reply(content, tries)
                self._refuse(response.status, response.headers.get("Retry-After"), content)
                return Reply("", refused=f"{response.status}: {self._without_key(_told(content))}", tries=tries)
        except asyncio.TimeoutError:
            raise _TryAgainError(f"no answer within {self.options.timeout:g} s") from None
        except aiohttp.ClientError as error:
            raise _TryAgainError(f"{type(error).__name__}: {error}") from None

    def _refuse(self, status: int, retry_after: str | None, content: bytes) -> None:
        """Raise what an HTTP error means; return for one that speaks of this very question."""
        told = f"HTTP {status}: {_told(content)}"
        if status == 429 and "insufficient_quota" in told:
            raise EndpointError(self._without_key(f"{self.options.url} answers {told}"))
        if status in (408, 409, 425, 429) or status >= 500:
            raise _TryAgainError(told, parse_retry_after(retry_after))
        if status not in (400, 413, 422):
            remedies = {
                401: f"; is {self.options.api_key_env} set and right?",
                404: "; are --endpoint and --model right?",
            }
            raise EndpointError(self._without_key(f"{self.options.url} answers {told}{remedies.get(status, '')}"))

    def _reply(self, content: bytes | None, tries: int) -> Reply:
        if content is None:
            return Reply("", "oversized", tries=tries)
        try:
            answer = json.loads(content)
            choice, usage = answer["choices"][0], answer.get("usage") or {}
            message = choice["message"]
            text, refused = message.get("content") or "", message.get("refusal")
            if not isinstance(text, str):  # some endpoints answer in parts
                text = "".join(part.get("text", "") for part in text)
            return Reply(
                self._without_key(text)[:LONGEST_REPLY],
                str(choice.get("finish_reason") or "stop"),
                str(answer.get("model") or ""),
                None if refused is None else str(refused)[:LONGEST_REPLY],
                tries,
                int(usage.get("prompt_tokens") or 0),
                int(usage.get("completion_tokens") or 0),
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise _TryAgainError(f"an answer of no known form ({type(error).__name__}: {error})") from None

    def _body(self, question: Question) -> bytes:
        """The request as JSON; the picture, most of its bytes, is put in last, for base64 needs no escaping."""
        before, after = _frame(self.options, question.faults, question.request.sample)
        return b"".join((before, base64.b64encode(question.image), after))

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


@lru_cache(maxsize=64)
def _frame(options: EndpointOptions, faults: tuple[str, ...], sample: int) -> tuple[bytes, bytes]:
    """What stands before and after the picture in a request."""
    place = "picture-goes-here"
    content = [
        {"type": "text", "text": prompt_text(faults)},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{place}"}},
    ]
    body: dict[str, Any] = {
        "model": options.model,
        "messages": [{"role": "user", "content": content}],
        "temperature": options.temperature,
        "max_tokens": options.max_tokens,
        "seed": sample,  # two captions of a face must not be one said twice
    }
    if structure := _STRUCTURES[options.structure]:
        body["response_format"] = structure
    before, _, after = json.dumps(body).encode().rpartition(place.encode())
    return before, after


class _Proof:
    """Holds refusals back until the endpoint has answered one question: before that, it may refuse everything."""

    _ENOUGH = 10

    def __init__(self, record: Callable[[Request, Reply], None], answered: bool):
        self._record = record
        self._held: list[tuple[Request, Reply]] = []
        self._answered = answered
        self._without_answer = 0

    def __call__(self, request: Request, reply: Reply) -> None:
        if reply.refused is not None and not self._answered:
            self._held.append((request, reply))
            if len(self._held) >= self._ENOUGH:
                raise EndpointError(
                    f"the endpoint refused the first {len(self._held)} questions ({reply.refused}); if it does not "
                    "know this form of question, try --structure none"
                )
            return
        self._answered, self._without_answer = True, 0
        for held in (*self._held, (request, reply)):
            self._record(*held)
        self._held.clear()

    def no_answer(self, problem: str) -> None:
        self._without_answer += 1
        if self._without_answer == self._ENOUGH:  # those under way may fail too before they are called off
            raise EndpointError(f"{self._ENOUGH} questions in a row got no answer; the last: {problem}")

    def close(self) -> None:
        """At the end: what was refused was refused."""
        for held in self._held:
            self._record(*held)


async def _read(stream: aiohttp.StreamReader) -> bytes | None:
    """The whole body; None if it is absurdly long, of which no more is read."""
    parts, size = [], 0
    async for part in stream.iter_any():
        parts.append(part)
        size += len(part)
        if size > _LARGEST_BODY:
            return None
    return b"".join(parts)


def _told(content: bytes | None) -> str:
    """An error's own words, shortened."""
    try:
        error = json.loads(content or b"")["error"]
        told = error.get("message", "") if isinstance(error, dict) else str(error)
        code = str(error.get("code") or "") if isinstance(error, dict) else ""
        return f"{told} {code}".strip()[:300]
    except (ValueError, KeyError, TypeError, AttributeError):
        return (content or b"")[:300].decode("utf-8", "replace")
