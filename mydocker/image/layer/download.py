"""The layers of an image that the store lacks: fetched three at a time, verified on the way, published when durable.

    source -> size and digest -> a process for each: inflate -> diff ID -> scan -> files -> syncfs -> rename

Nothing waits for a whole layer, nothing keeps one in memory. What has been written goes to the disk while the rest
arrives, and layers that end at about the same time wait for it together.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress

from mydocker import kernel
from mydocker.errors import ImageError, StoreError
from mydocker.idmap import IdMap
from mydocker.image.layer import blob, workers
from mydocker.image.layer.blob import Source
from mydocker.image.layer.workers import Task, Unpacker
from mydocker.image.model.digest import DigestReader
from mydocker.image.model.limits import Limits
from mydocker.image.model.manifest import Descriptor, compression
from mydocker.image.model.progress import COMPLETE, MOVING, Step, megabytes
from mydocker.image.store import Store
from mydocker.image.store.staging import LayerLock
from mydocker.kernel.disk import syncfs
from mydocker.record import Record
from mydocker.reference import Digest

PARALLEL = 6
AHEAD = 0.25  # seconds after which what has been written is sent to the disk, so that little is left for the end
BATCH = 64  # layers begun at once: each takes a few descriptors, of which a process often has 1,024
_CAP_MKNOD = 27


class _Job(Record):
    descriptor: Descriptor
    layer_lock: LayerLock
    unpacker: Unpacker


class _Stopped(Exception):
    """Another layer has failed."""


def fetch(
    wanted: Mapping[Digest, Descriptor],
    *,
    source: Source,
    store: Store,
    limits: Limits,
    progress: Callable[[Step], None],
) -> None:
    """Put every layer of WANTED, diff ID to blob, into the store. On failure those that are complete stay.

    The unpacking processes are forked first, while there is one thread; no thread is left at the end. Claims are taken
    in one order by everyone, so two pulls cannot wait for each other.
    """
    workers.prepare()
    cores = len(os.sched_getaffinity(0))
    missing = sorted((diff_id for diff_id in wanted if not os.path.isdir(store.layer_path(diff_id))), key=str)
    for start in range(0, len(missing), BATCH):
        with ExitStack() as stack:
            disk = stack.enter_context(_opened(store.incoming))  # before anything is written: see syncfs
            jobs = []
            batch = missing[start : start + BATCH]
            total = sum(wanted[diff_id].size for diff_id in batch)
            for diff_id in batch:
                layer_lock = stack.enter_context(LayerLock(store, diff_id))
                if not layer_lock.is_done:
                    threads = _threads(wanted[diff_id].size, of=total, cores=cores)
                    jobs.append(_begin(wanted[diff_id], diff_id, layer_lock, store.ids, limits, threads, stack))
            _run(sorted(jobs, key=lambda job: -job.descriptor.size), source, progress, disk)  # the longest first


def _threads(size: int, *, of: int, cores: int) -> int:
    """How many threads more than one unpack a layer of SIZE bytes, of all that are OF: none if it is no more than the
    share of one of CORES processors, since each has enough to do then, and threads would only cost."""
    return max(0, min(2, -(-size * cores // max(1, of)) - 1))


@contextmanager
def _opened(directory: str) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _begin(
    descriptor: Descriptor,
    diff_id: Digest,
    layer_lock: LayerLock,
    ids: IdMap | None,
    limits: Limits,
    threads: int,
    stack: ExitStack,
) -> _Job:
    os.mkdir(layer_lock.directory, 0o755)
    os.chmod(layer_lock.directory, 0o755)  # whatever the umask is
    task = Task(
        what=_what(descriptor),
        diff_id=diff_id,
        compression=compression(descriptor),
        directory=layer_lock.directory,
        lock=layer_lock.lock,
        ids=ids,
        devices=_can_make_devices(),
        limits=limits,
        threads=threads,
    )
    started = Unpacker(task)
    stack.callback(started.abort)  # before the layer_lock's end removes the directory
    return _Job(descriptor=descriptor, layer_lock=layer_lock, unpacker=started)


def _run(jobs: list[_Job], source: Source, progress: Callable[[Step], None], disk: int) -> None:
    """Work on JOBS in a few threads, and publish what they complete on the file system of DISK. Raises the first
    failure; the threads have ended by then."""
    downloads = _Downloads(jobs, source, progress)
    # daemons: an interrupted pull must not wait for a source that says nothing
    threads = [threading.Thread(target=downloads.work, daemon=True) for _ in range(min(PARALLEL, len(jobs)))]
    try:
        for thread in threads:
            thread.start()
        downloads.publish(disk, threads=len(threads))
        for thread in threads:
            thread.join()
    except BaseException:  # an interrupt
        downloads.stop.set()
        for job in jobs:
            job.unpacker.kill()  # so that no thread waits for it
        for thread in threads:
            thread.join(1)
        raise
    if downloads.failures:
        raise next((error for error in downloads.failures if not isinstance(error, _Stopped)), downloads.failures[0])


class _Downloads:
    """What the threads share; each of them does `work`, and the one that has started them `publish`."""

    def __init__(self, jobs: list[_Job], source: Source, progress: Callable[[Step], None]) -> None:
        self.stop = threading.Event()
        self.failures: list[BaseException] = []
        self._news = threading.Event()  # something has arrived, and is perhaps not on disk yet
        self._waiting: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._complete: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()  # None: a thread has ended
        for job in jobs:
            self._waiting.put(job)
        self._source, self._progress, self._telling = source, progress, threading.Lock()

    def tell(self, step: Step) -> None:
        """Pass STEP on, one at a time."""
        self._news.set()
        with self._telling:
            self._progress(step)

    def work(self) -> None:
        """Take jobs until there are none, or until one has failed anywhere."""
        while not self.stop.is_set() and not self._waiting.empty():
            try:
                job = self._waiting.get_nowait()
                _fetch_one(job, self._source, self.tell, self.stop)
                self._complete.put(job)
            except queue.Empty:  # another thread was faster
                break
            except BaseException as error:
                self._fail(error)
        self._complete.put(None)

    def publish(self, disk: int, *, threads: int) -> None:
        """Until all THREADS have ended, wait for what they complete, make it durable and visible."""
        while threads:
            jobs = self._completed()
            threads -= jobs.count(None)
            try:
                unpacked = [job for job in jobs if job and self._is_unpacked(job)]
                if unpacked or not jobs and self._news.is_set():
                    self._news.clear()
                    syncfs(disk)
                for job in unpacked:
                    job.layer_lock.publish()
                    self.tell(_done(job.descriptor))
            except Exception as error:
                self._fail(error)

    def _completed(self) -> list[_Job | None]:
        """What there is to publish, perhaps nothing as yet."""
        jobs: list[_Job | None] = []
        with suppress(queue.Empty):
            jobs.append(self._complete.get(timeout=AHEAD))
            while True:
                jobs.append(self._complete.get_nowait())
        return jobs

    def _is_unpacked(self, job: _Job) -> bool:
        try:
            job.unpacker.wait()
        except Exception as error:
            self._fail(error)
            return False
        return True

    def _fail(self, error: BaseException) -> None:
        self.failures.append(error)
        self.stop.set()


def _fetch_one(job: _Job, source: Source, tell: Callable[[Step], None], stop: threading.Event) -> None:
    descriptor = job.descriptor
    part = job.layer_lock.part(descriptor.digest)
    with closing(blob.chunks(source, descriptor, part)) as chunks:
        arriving = _watched(chunks, descriptor, tell, stop)
        stored = DigestReader(arriving, digest=descriptor.digest, size=descriptor.size, what=_what(descriptor))
        try:
            for piece in stored:
                job.unpacker.write(piece)
        except StoreError:
            raise
        except ImageError:
            stored.drain()  # a digest that does not match explains whatever else is wrong
            raise
    job.unpacker.complete()


def _watched(
    chunks: Iterator[bytes], descriptor: Descriptor, tell: Callable[[Step], None], stop: threading.Event
) -> Iterator[bytes]:
    step = Step(kind=MOVING, text=_name(descriptor), blob=descriptor.digest, size=descriptor.size)
    done = 0
    for chunk in chunks:
        if stop.is_set():
            raise _Stopped
        done += len(chunk)
        tell(step.replace(done=done))
        yield chunk


def _done(descriptor: Descriptor) -> Step:
    size = descriptor.size
    text = f"{_name(descriptor)}: {megabytes(size)} done"
    return Step(kind=COMPLETE, text=text, blob=descriptor.digest, done=size, size=size)


def _what(descriptor: Descriptor) -> str:
    return f"layer {descriptor.digest}"


def _name(descriptor: Descriptor) -> str:
    return f"layer {descriptor.digest.hex[:12]}"


def _can_make_devices() -> bool:
    """mknod(2): no user namespace may make a device, so an ordinary user's layers go without; nothing could open it."""
    return os.geteuid() == 0 and bool(kernel.get_capabilities() >> _CAP_MKNOD & 1)
