"""Each epoch shows every row once, in an order that only seed and epoch decide."""

from contextlib import closing
from itertools import chain
from multiprocessing import get_context
from types import SimpleNamespace

import pytest

from emocapclip_hf.training.batches import EpochBatches, _from_living_workers, training_batches


def epoch_of(batches, epoch, first_row=0):
    batches.set_position(epoch, first_row)
    return list(batches)


def test_an_epoch_is_a_permutation():
    batches = EpochBatches(rows=12, batch_size=3, seed=1)
    first, second = epoch_of(batches, 0), epoch_of(batches, 1)
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(12))
    assert first != second and first == epoch_of(EpochBatches(12, 3, seed=1), 0)
    assert first != epoch_of(EpochBatches(12, 3, seed=2), 0)


def test_processes_share_each_batch_out():
    whole = epoch_of(EpochBatches(rows=13, batch_size=4, seed=0), 5)
    parts = [epoch_of(EpochBatches(13, 2, seed=0, rank=rank, ranks=2), 5) for rank in (0, 1)]
    assert [left + right for left, right in zip(*parts, strict=True)] == whole


def test_a_resumed_epoch_goes_on_where_it_stopped():
    batches = EpochBatches(rows=20, batch_size=4, seed=0)
    whole = epoch_of(batches, 2)
    assert batches.place(13) == (2, 12)
    assert epoch_of(batches, *batches.place(13)) == whole[3:]
    assert len(batches) == 2


def test_batches_of_another_size_go_on_at_the_same_row():
    before = EpochBatches(rows=22, batch_size=4, seed=0)
    after = EpochBatches(rows=22, batch_size=3, seed=0, ranks=2, start=before.place(7))  # epoch 1, row 8
    order = list(chain(*epoch_of(EpochBatches(rows=22, batch_size=22, seed=0), 1)))
    assert [after.place(batch) for batch in range(4)] == [(1, 8), (1, 14), (2, 0), (2, 6)]
    assert epoch_of(after, *after.place(1)) == [order[14:17]]


def test_too_few_rows():
    with pytest.raises(ValueError, match="7 rows are less than one batch of 4 on each of 2 processes"):
        EpochBatches(rows=7, batch_size=4, seed=0, ranks=2)


class Rows:
    """A collator that leaves them as they are."""

    def set_epoch(self, epoch):
        pass

    def __call__(self, rows):
        return rows


def an_exception_between_two_batches():
    batches = training_batches(list(range(100)), Rows(), EpochBatches(100, 4, seed=0), 0, 25, num_workers=2)
    with closing(batches):
        next(batches)
        raise SystemExit(143)


def test_workers_end_with_the_process_that_raises():
    """Who ignores the signal that Python ends its children with would keep it waiting for ever."""
    process = get_context("fork").Process(target=an_exception_between_two_batches)
    process.start()
    process.join(30)
    status = process.exitcode
    process.kill()
    assert status == 143


@pytest.mark.parametrize(("alive", "error"), [(False, RuntimeError), (True, ConnectionResetError)])
def test_a_connection_that_a_dead_worker_leaves_is_said_to_be_its(alive, error):
    worker = SimpleNamespace(pid=7, is_alive=lambda: alive, join=lambda timeout: None)

    class Broken:
        _iterator = SimpleNamespace(_workers=[worker])

        def __iter__(self):
            yield {"row": 0}
            raise ConnectionResetError(104, "Connection reset by peer")

    batches = _from_living_workers(Broken())
    assert next(batches) == {"row": 0}
    with pytest.raises(error, match="Connection reset" if alive else r"DataLoader worker \(pid 7\) died.*--resume"):
        next(batches)
