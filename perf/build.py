"""Building a dataset: asking an endpoint, finding scenes and faces, and memory over many rows.

python perf/build.py                     # all of it
python perf/build.py --only endpoint     # or films (with their faces), memory

- endpoint: captions a second with 64 requests under way, against a bare aiohttp client that posts the same bodies and
  throws the answers away; ours also reads them, counts their cost and appends each to the journal. The endpoint is a
  process of its own on loopback that answers at once.
- films: frames a second of `frames` on two processes, against a loop of OpenCV and Pillow on two processes that
  decodes, compares thumbnails, and writes the same number of JPEGs.
- faces: frames a second of `faces` on two processes, against a loop that decodes, detects with the same cascades,
  crops with Pillow and writes JPEGs on two processes. Ours also finds eyes, turns, judges and compares.
- memory: of the stages captions, checks and dataset over 100,000 faces, resident memory at the end over that after the
  first tenth of the rows (1 is flat; there is no peer).
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import aiohttp
import cv2
import numpy as np
import psutil
from aiohttp import web
from measure import Row, interleaved_seconds, parser, row, show
from PIL import Image

from emocapclip_hf.data.build.captions import CaptionOptions, run_captions
from emocapclip_hf.data.build.checks import run_checks
from emocapclip_hf.data.build.dataset import DatasetOptions, run_dataset
from emocapclip_hf.data.build.endpoint import EndpointCaptioner, EndpointOptions, Question
from emocapclip_hf.data.build.faces import FaceOptions, faces_folder, run_faces
from emocapclip_hf.data.build.frames import FrameOptions, frames_folder, run_frames
from emocapclip_hf.data.build.replies import Reply, ReplyJournal, Request
from emocapclip_hf.data.build.sources import find_units
from emocapclip_hf.data.build.stage_folder import write_json
from emocapclip_hf.data.synthfaces import describe, draw, face_at, sample_clip
from tests.data.build.films import ROOMS, in_room, write_film

CONCURRENCY, PROCESSES = 64, 2
_BRIEF = json.dumps(  # as short as the checks allow: reading captions is most of the time of 100,000
    {
        "global_caption": "This face shows a moderate expression of happiness with a little surprise in it.",
        "local_captions": ["The brows are raised.", "The cheeks are lifted.", "The lip corners are pulled up."],
        "summary_caption": "Ultimately, it is happiness that this face shows, told by lifted cheeks and mouth.",
    }
)


# ---- endpoint


def serve(ready, caption: str) -> None:
    """An endpoint that answers everything at once with one caption."""
    body = json.dumps(
        {
            "model": "loopback",
            "choices": [{"message": {"role": "assistant", "content": caption}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 900, "completion_tokens": 350},
        }
    ).encode()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, content_type="application/json")

    async def run() -> None:
        application = web.Application(client_max_size=2**24)
        application.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


def measure_endpoint(args) -> dict[str, Row]:
    picture = io.BytesIO()
    draw(face_at(0, "train", 0), 256).save(picture, "JPEG", quality=95)
    ready = multiprocessing.Queue()
    caption = describe(face_at(0, "train", 0)).to_json()
    server = multiprocessing.Process(target=serve, args=(ready, caption), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ready.get(timeout=60)}/v1"
    captioner = EndpointCaptioner(EndpointOptions(url, "loopback", concurrency=CONCURRENCY))
    with tempfile.TemporaryDirectory() as folder:
        journals = iter(Path(folder) / str(number) for number in range(1000))

        def ours() -> None:
            questions = (Question(Request(f"face {k}"), picture.getvalue()) for k in range(args.requests))
            with ReplyJournal(next(journals)) as journal:
                captioner.answer(questions, journal.append)
                assert journal.spent.requests == args.requests

        def peer() -> None:
            asyncio.run(bare_client(url, captioner, picture.getvalue(), args.requests))

        seconds = interleaved_seconds(ours, peer, args.rounds)
    server.terminate()
    rates = [args.requests / each for each in seconds]
    return {f"requests at concurrency {CONCURRENCY} (peer: bare aiohttp)": row(*rates, "requests/s")}


async def bare_client(url: str, captioner: EndpointCaptioner, picture: bytes, requests: int) -> None:
    template = json.loads(captioner._body(Question(Request("any"), b"")))
    numbers = iter(range(requests))

    async def ask_on(session: aiohttp.ClientSession) -> None:
        for _ in numbers:
            content = template["messages"][0]["content"]
            url_of_picture = "data:image/jpeg;base64," + base64.b64encode(picture).decode()
            message = {
                "role": "user",
                "content": [content[0], {"type": "image_url", "image_url": {"url": url_of_picture}}],
            }
            async with session.post(f"{url}/chat/completions", json=template | {"messages": [message]}) as response:
                assert (await response.json())["choices"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:
        await asyncio.gather(*(ask_on(session) for _ in range(CONCURRENCY)))


# ---- films and faces


def write_films(folder: Path, films: int, shots: int) -> None:
    for film in range(films):
        pictures = (
            in_room(face, ROOMS[shot % len(ROOMS)]).resize((640, 480))
            for shot in range(shots)
            for face in sample_clip(1000 * film + shot, frames=12)
        )
        write_film(folder / f"film-{film}.mkv", pictures)


def peer_film(path: str) -> tuple[int, list[bytes]]:
    """A loop as one would write it: decode, compare small gray pictures, save the middle frames of each scene."""
    film, scene, saved, last, decoded = cv2.VideoCapture(path), [], [], None, 0
    while True:
        whole, frame = film.read()
        small = (
            cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), (32, 18), interpolation=cv2.INTER_AREA)
            if whole
            else None
        )
        if not whole or (last is not None and np.abs(small.astype(int) - last).mean() > 0.07 * 255):
            for third in (1, 3, 5):
                stream = io.BytesIO()
                picture = scene[third * len(scene) // 6]
                Image.fromarray(picture[:, :, ::-1]).save(stream, "JPEG", quality=95)
                saved.append(stream.getvalue())
            scene = []
        if not whole:
            return decoded, saved
        decoded += 1
        scene.append(frame)
        last = small


def peer_faces(frames: list[bytes]) -> int:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt.xml")
    cv2.setNumThreads(1)
    found = 0
    for content in frames:
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        boxes = cascade.detectMultiScale(np.asarray(picture.convert("L")), 1.1, 3, minSize=(32, 32))
        for x, y, width, height in np.asarray(boxes).reshape(-1, 4).tolist():
            margin = width // 4
            stream = io.BytesIO()
            crop = picture.crop((x - margin, y - margin, x + width + margin, y + height + margin))
            crop.save(stream, "JPEG", quality=95)
            found += 1
    return found


def measure_films(args) -> dict[str, Row]:
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        write_films(folder / "films", 2 * PROCESSES, args.shots)
        paths = [str(path) for path in sorted((folder / "films").iterdir())]
        outs = iter(folder / f"out-{number}" for number in range(1000))
        used: list[Path] = []

        def ours() -> dict:
            used.append(next(outs))
            return run_frames(used[-1], find_units([folder / "films"]), FrameOptions(), PROCESSES)

        def peer() -> list:
            with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("fork")) as pool:
                return list(pool.map(peer_film, paths))

        seconds = interleaved_seconds(ours, peer, args.rounds)
        decoded, saved = ours(), peer()
        frames = decoded["decoded"]
        assert frames == sum(count for count, _ in saved)
        rows = {"films, frames decoded (peer: OpenCV + Pillow)": row(*(frames / each for each in seconds), "frames/s")}
        return rows | measure_faces(args, used[-1])


def measure_faces(args, out: Path) -> dict[str, Row]:
    stage = frames_folder(out)
    pictures = [frame["image"] for unit in stage.plan() for frame in stage.rows(unit, ["image"])]
    parts = [pictures[part::PROCESSES] for part in range(PROCESSES)]
    limits = iter(np.linspace(300, 301, 1000))  # other options each round, or nothing is left to do
    faces = {}

    def ours() -> None:
        faces["ours"] = run_faces(
            out, FaceOptions(largest_side=int(next(limits) * 1000) // 1000, margin=next(limits) / 1200), PROCESSES
        )

    def peer() -> None:
        with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("fork")) as pool:
            faces["peer"] = sum(pool.map(peer_faces, parts))

    seconds = interleaved_seconds(ours, peer, args.rounds)
    rates = [len(pictures) / each for each in seconds]
    return {
        "faces, frames searched (peer: the same cascades + Pillow)": row(*rates, "frames/s"),
        "faces found": row(faces["ours"]["faces"], faces["peer"], "faces"),
    }


# ---- memory


def measure_memory(args) -> dict[str, Row]:
    """All rows are the same small picture and its caption: what grows with their number is ours."""
    with tempfile.TemporaryDirectory() as where:
        out = Path(where)
        many_faces(out, args.rows)
        rows = {}
        for stage, work in (
            ("captions", lambda: run_captions(out, lambda *_: _Parrot(_BRIEF), CaptionOptions(rounds=1))),
            ("checks", lambda: run_checks(out, CaptionOptions(rounds=1), workers=PROCESSES)),
            ("dataset", lambda: run_dataset(out, DatasetOptions())),
        ):
            rows[f"memory of {stage}, {args.rows:,} rows, end / after a tenth"] = row(growth(work), 1.0, "x")
        return rows


class _Parrot:
    """Answers everything with one caption."""

    unanswered, last_problem = 0, ""

    def __init__(self, caption: str):
        self._reply = Reply(caption)

    def recipe(self) -> dict:
        return {"captioner": "parrot", "model": "parrot"}

    def answer(self, questions: Iterator[Question], record: Callable[[Request, Reply], None]) -> None:
        for question in questions:
            record(question.request, self._reply)


def many_faces(out: Path, rows: int, per_unit: int = 1000) -> None:
    """The folders that the stages frames and faces would leave."""
    picture = io.BytesIO()
    draw(face_at(0, "train", 0), 64).save(picture, "JPEG")
    folder, names = faces_folder(out), []
    for start in range(0, rows, per_unit):
        names.append(f"unit-{start}")
        batches = (
            [_face(f"film-{start}", number, picture.getvalue()) for number in range(begin, begin + 100)]
            for begin in range(start, start + per_unit, 100)
        )
        folder.write(names[-1], batches, {})
    folder.write_plan(names)
    write_json(folder.path / "copies.json", {})
    write_json(folder.path / "summary.json", {"faces": rows, "kept": rows, "rejected": {}})
    counts = {"films": len(names), "pictures": 0, "decoded": rows, "scenes": rows, "frames": rows, "problems": {}}
    write_json(out / "frames" / "summary.json", counts)


def _face(film: str, number: int, picture: bytes) -> dict:
    place = {"source": film, "film": film, "person": None, "scene": number, "seconds": float(number)}
    judged = {"box": [0.0] * 4, "sharpness": 100.0, "hash": bytes(32), "rejected": ""}
    return {"face": f"{film}#{number}.0", **place, **judged, "image": picture}


def growth(work: Callable[[], object]) -> float:
    """Resident memory in the last tenth of the time over that in the second tenth."""
    used, done = [], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            used.append(psutil.Process().memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    tenth = max(1, len(used) // 10)
    return statistics.median(used[-tenth:]) / statistics.median(used[tenth : 2 * tenth])


PARTS = {"endpoint": measure_endpoint, "films": measure_films, "memory": measure_memory}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--only", choices=PARTS, help="one part of it")
    arguments.add_argument("--requests", type=int, default=2000)
    arguments.add_argument("--shots", type=int, default=20, help="of each of four films")
    arguments.add_argument("--rows", type=int, default=100_000)
    args = arguments.parse_args()
    rows: dict[str, Row] = {}
    for name, part in PARTS.items():
        if args.only in (None, name):
            start = time.perf_counter()
            rows |= part(args)
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True) if not args.json else None
    show(rows, args.json)


if __name__ == "__main__":
    main()
