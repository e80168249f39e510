"""`load_emocap`: any source as a dataset with the project's columns."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
from huggingface_hub.constants import HF_HOME

from .bad_rows import BadRowError, BadRowReport
from .dataset_source import DatasetSource
from .file_source import FileSource
from .image_reading import image_bytes, image_paths
from .rows import check_image_file
from .source_formats import find_files, format_of
from .splits import SPLITS, content_key, split_of
from .synthfaces.dataset import FEATURES, synthfaces_dataset

logger = logging.getLogger(__name__)

CACHE_DIR = Path(HF_HOME) / "emocapclip"

Source = FileSource | DatasetSource
Loaded = datasets.Dataset | datasets.DatasetDict | datasets.IterableDataset | datasets.IterableDatasetDict


def load_emocap(
    source: str | Path | Loaded,
    split: str | None = None,
    *,
    streaming: bool = False,
    columns: Mapping[str, str] | None = None,
    report: str | Path | None = None,
    max_bad_fraction: float = 0.01,
    cache_dir: str | Path | None = None,
) -> Loaded:
    """Load captioned faces from anywhere.

    The result has the columns `image`, `global_caption`, `local_captions` (a list), `summary_caption`, those of
    `emotion`, `valence`, `arousal` and `action_units` that the source has, and `origin`, the place a row came from.

    A row that cannot be used is counted, named in the report file and left out. A table checks that the image file is
    there; a stream decodes it (its `image` is a decoded RGB picture, and `row` a number that stands for its file).
    The pictures of a table are decoded when they are first used: `build_image_cache` leaves out those that cannot be.

    Args:
        source: `"synthfaces"`; a folder with metadata.jsonl or metadata.csv and images; JSON lines, CSV, parquet or
            WebDataset tar files, as a file, a folder or a pattern (`"shards/*.tar"`); a folder from `save_to_disk`; a
            dataset on the Hub (`"owner/name"`); or a `datasets` object.
        split: `"train"`, `"validation"`, `"test"`, or `"all"` for every row; None for a dict of the splits. A source
            that names no splits (or only `train`, if it is a `datasets` object) is split by the hash of each
            picture's file: 80, 10 and 10 %, the same pictures in every format and order.
        streaming: read on the fly, whatever the size, into an `IterableDataset`.
        columns: our names → the source's, where they differ: `{"image": "face_path", "global_caption": "overall"}`;
            `caption` stands for a raw paragraph to be parsed; any other name keeps that column as a label.
        report: the JSON-lines file that names bad rows; in the cache folder if not given.
        max_bad_fraction: the share of bad rows above which `TooManyBadRowsError` is raised.
        cache_dir: where tables are cached; the cache of `datasets` if not given.

    >>> import datasets, PIL.Image
    >>> rows = {"face": [PIL.Image.new("RGB", (8, 8))], "text": ["A happy face. The cheeks rise. Overall, joy."]}
    >>> faces = load_emocap(datasets.Dataset.from_dict(rows), "all", columns={"image": "face"})
    >>> faces[0]["global_caption"], faces[0]["local_captions"]
    ('A happy face.', ['The cheeks rise.'])
    """
    found = find_source(source, columns, streaming)
    if report is None:  # ours: it tells of this load alone
        report = CACHE_DIR / "bad_rows" / f"{re.sub(r'[^A-Za-z0-9]+', '-', found.name)}.jsonl"
        report.unlink(missing_ok=True)
    bad_rows = BadRowReport(report, found.name, max_bad_fraction)
    by_hash = has_no_splits(found)
    names = list(SPLITS) if by_hash else found.splits
    if split is not None and split not in (*names, "all"):
        raise ValueError(f"{found.name} has no split {split!r}; it has {names}, and 'all' for every row")

    if streaming:
        if split == "all":
            return found.stream(found.splits, bad_rows)
        streams = {
            name: found.stream(found.splits, bad_rows, hash_split=name) if by_hash else found.stream([name], bad_rows)
            for name in names
            if split in (None, name)
        }
        return datasets.IterableDatasetDict(streams) if split is None else streams[split]

    wanted = found.splits if by_hash or split in (None, "all") else [split]
    tables = {name: _good_rows(marked_table(found, name, cache_dir), bad_rows) for name in wanted}
    bad_rows.check()
    if bad_rows.bad:
        logger.warning("%s: left out", bad_rows.summary())
    if split == "all":
        return datasets.concatenate_datasets(list(tables.values()))
    if by_hash:
        tables = split_by_hash(datasets.concatenate_datasets(list(tables.values())))
    return datasets.DatasetDict(tables) if split is None else tables[split]


def find_source(source: Any, columns: Mapping[str, str] | None = None, streaming: bool = False) -> Source:
    """What stands behind the name, path or object that a user calls a source."""
    if isinstance(source, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        return DatasetSource(source, "the given DatasetDict", columns)
    if isinstance(source, (datasets.Dataset, datasets.IterableDataset)):
        return DatasetSource({None: source}, f"the given {type(source).__name__}", columns)
    if not isinstance(source, (str, Path)):
        raise TypeError(
            f"source must be a path, a name or a datasets object, got {type(source).__name__}: {source!r:.80}"
        )
    name, path = str(source), Path(source)
    if name == "synthfaces":
        return DatasetSource(_SynthFaces(), name, columns, FEATURES)
    if any((path / mark).is_file() for mark in ("dataset_dict.json", "state.json")):  # of save_to_disk
        saved = datasets.load_from_disk(name)
        return DatasetSource(saved if isinstance(saved, datasets.DatasetDict) else {None: saved}, name, columns)
    if not path.exists() and format_of(path) is None and re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name):
        return DatasetSource(_from_hub(name, streaming), name, columns)
    return FileSource(find_files(path), name, columns)


def has_no_splits(source: Source) -> bool:
    """Whether the splits are ours to make. `datasets` calls everything `train` that has no other name."""
    return source.splits in ([None], ["train"] if isinstance(source, DatasetSource) else [None])


def marked_table(source: Source, split: str | None, cache_dir: str | Path | None = None) -> datasets.Dataset:
    """Every row of a split, in the order of the source; `bad_reason` and `bad_message` say which cannot be used.

    The files are looked at every time (a picture may have been added or lost since the table was cached).
    """
    table = source.table(split, str(cache_dir) if cache_dir else None)
    reasons, messages = list(table["bad_reason"]), list(table["bad_message"])
    for index, path in enumerate(image_paths(table)):
        if path is not None and reasons[index] is None:
            try:
                check_image_file(path, source.root)
            except BadRowError as bad:
                reasons[index], messages[index] = bad.reason, str(bad)
    table = _without_marks(table)
    kind = datasets.Value("string")
    return table.add_column("bad_reason", reasons, feature=kind).add_column("bad_message", messages, feature=kind)


def _without_marks(table: datasets.Dataset) -> datasets.Dataset:
    """`datasets` leaves a block without columns where an added one is removed, and then takes no new column."""
    table = table.remove_columns(["bad_reason", "bad_message"])
    data = table.data
    if isinstance(data, datasets.table.ConcatenationTable):
        data = data.from_blocks([[block for block in row if block.num_columns] for row in data.blocks])
    return datasets.Dataset(
        data, table.info, table.split, indices_table=table._indices, fingerprint=table._fingerprint
    )


def split_by_hash(table: datasets.Dataset) -> dict[str, datasets.Dataset]:
    """Train, validation and test by the hash of each picture's file."""
    images = table.select_columns(["image"]).cast_column("image", datasets.Image(decode=False))
    hashed = images.map(_hashed_split, remove_columns=["image"], desc="Hashing pictures")
    names = list(hashed["split"])
    return {split: table.select([i for i, name in enumerate(names) if name == split]) for split in SPLITS}


def _hashed_split(row: dict[str, Any]) -> dict[str, str]:
    try:
        content = image_bytes(row["image"])
    except BadRowError:  # an unreadable file: it is named when it is decoded
        content = str(row["image"]["path"]).encode()
    return {"split": split_of(content_key(content))}


def _good_rows(table: datasets.Dataset, bad_rows: BadRowReport) -> datasets.Dataset:
    bad_rows.saw(len(table))
    reasons, messages, origins = list(table["bad_reason"]), list(table["bad_message"]), table["origin"]
    for index, reason in enumerate(reasons):
        if reason is not None:
            bad_rows.add(origins[index], BadRowError(reason, messages[index]))
    table = _without_marks(table).cast_column("image", datasets.Image())
    return table.select([index for index, reason in enumerate(reasons) if reason is None]) if any(reasons) else table


class _SynthFaces(Mapping):
    """The splits of SynthFaces, each made when it is asked for."""

    def __getitem__(self, split: str) -> datasets.Dataset:
        return synthfaces_dataset(split)

    def __iter__(self) -> Iterator[str]:
        return iter(SPLITS)

    def __len__(self) -> int:
        return len(SPLITS)


def _from_hub(name: str, streaming: bool) -> Mapping[str, datasets.Dataset | datasets.IterableDataset]:
    try:
        return datasets.load_dataset(name, streaming=streaming)
    except Exception as error:  # not there, no network, no rights, no data: the Hub's client has its own words for it
        raise FileNotFoundError(
            f"{name!r} is neither a file or folder here, nor 'synthfaces', nor a dataset that can be loaded from the "
            f"Hub ({type(error).__name__}: {error})"
        ) from error
