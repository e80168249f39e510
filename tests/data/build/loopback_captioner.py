"""An OpenAI-compatible endpoint on loopback that answers from the truth, and misbehaves where it is told to.

    with LoopbackCaptioner(truth, misbehave) as captioner:
        ...  # captioner.url

`truth`: the SHA-256 of a picture's bytes → the answer. `misbehave`: a question (with its number among all, and how
often it came before) → the name of a misbehaviour, or None.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

PROMPT_TOKENS, ANSWER_TOKENS = 900, 350
LONGEST_HANG = 20.0  # seconds; tests give up long before
FRENCH = (
    "Ce visage exprime une joie intense. Les sourcils sont relevés. Les joues remontent vers les yeux. Les coins des "
    "lèvres sont tirés vers le haut et la bouche est entrouverte. Le front reste lisse et le menton détendu. "
    "En somme, il s'agit de joie, portée surtout par la bouche et par les joues."
)


@dataclass(frozen=True)
class Asked:
    """A question that arrived: picture (its digest), prompt, seed; its number, and how often it came before."""

    picture: str
    prompt: str
    seed: int
    number: int
    before: int
    authorization: str | None

    @property
    def again(self) -> bool:
        """Whether it tells what was wrong with an earlier answer."""
        return "An earlier answer could not be used" in self.prompt

    @property
    def key(self) -> tuple[str, str, int]:
        return self.picture, self.prompt, self.seed


class LoopbackCaptioner:
    def __init__(
        self,
        truth: Mapping[str, str] | Callable[[str, int], str],
        misbehave: Callable[[Asked], str | None] = lambda asked: None,
        delay: float = 0.0,
    ):
        self._truth = truth if callable(truth) else lambda picture, seed: truth[picture]
        self._misbehave, self._delay = misbehave, delay
        self.log: list[Asked] = []
        self.most_under_way = self._under_way = 0
        self._seen: Counter[tuple[str, str, int]] = Counter()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> LoopbackCaptioner:
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(self, *_) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        application = web.Application(client_max_size=2**24)
        application.router.add_post("/v1/chat/completions", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        text, picture = body["messages"][0]["content"]
        content = base64.b64decode(picture["image_url"]["url"].partition(",")[2])
        key = (hashlib.sha256(content).hexdigest(), text["text"], body["seed"])
        asked = Asked(*key, len(self.log), self._seen[key], request.headers.get("Authorization"))
        self._seen[key] += 1
        self.log.append(asked)
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        try:
            await asyncio.sleep(self._delay)
            misbehaviour = self._misbehave(asked)
            if misbehaviour:
                return await getattr(self, f"_{misbehaviour}")(request, key)
            return completion(self._truth(key[0], key[2]))
        finally:
            self._under_way -= 1

    # ---- misbehaviours of the transport: worth another try

    async def _too_many(self, request, key):
        return web.json_response({"error": {"message": "slow down"}}, status=429)

    async def _too_many_wait(self, request, key):
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "0.3"})

    async def _error(self, request, key):
        return web.Response(status=500, text="<html>Internal Server Error</html>")

    async def _hang(self, request, key):
        await asyncio.sleep(LONGEST_HANG)
        return web.Response()

    async def _cut(self, request, key):
        response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"choices": [{"mess')
        request.transport.close()
        return response

    async def _garbage(self, request, key):
        return web.Response(text='{"choices": [', content_type="application/json")

    # ---- misbehaviours of the model: to be asked again, with the reason

    async def _fences(self, request, key):  # a habit, not a fault: it can be read
        return completion(f"```json\n{self._truth(key[0], key[2])}\n```")

    async def _refusal(self, request, key):
        return completion("I'm sorry, but I can't help with identifying people.")

    async def _formal_refusal(self, request, key):
        return completion(None, refusal="I can't assist with that.")

    async def _content_filter(self, request, key):
        return web.json_response({"error": {"message": "flagged by the content filter"}}, status=400)

    async def _truncated(self, request, key):
        return completion(self._truth(key[0], key[2])[:200], finish="length")

    async def _language(self, request, key):
        return completion(FRENCH)

    async def _prose(self, request, key):
        return completion('{"global_caption": "A face.", "local')

    async def _huge(self, request, key):
        return completion("The brows are raised. " * (10 * 2**20 // 22))

    # ---- misbehaviours that end a run

    async def _unauthorised(self, request, key):
        told = f"Incorrect API key provided: {request.headers.get('Authorization')}"
        return web.json_response({"error": {"message": told}}, status=401)

    async def _wait_long(self, request, key):
        return web.json_response(
            {"error": {"message": "come back tomorrow"}}, status=429, headers={"Retry-After": "86400"}
        )

    async def _unknown_form(self, request, key):
        return web.json_response({"error": {"message": "response_format is not supported"}}, status=400)


def completion(text: str | None, finish: str = "stop", refusal: str | None = None) -> web.Response:
    body = {
        "model": "loopback-1",
        "choices": [{"message": {"role": "assistant", "content": text, "refusal": refusal}, "finish_reason": finish}],
        "usage": {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": ANSWER_TOKENS},
    }
    return web.Response(body=json.dumps(body).encode(), content_type="application/json")
