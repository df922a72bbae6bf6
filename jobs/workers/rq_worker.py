"""A worker on its seat: answers rings, one forked work horse at a time, through restarts of Redis and deploys."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, NoReturn

from django.db import DatabaseError, InterfaceError, connections
from django.urls import reverse
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.exceptions import InvalidJobOperation, NoSuchJobError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker_registration import register

from jobs.processes import doorbell, seats, stop_signals

STOP_SECONDS = 7.0
"""How long a work horse has to reach a chunk boundary after SIGTERM before it is killed; nothing is lost by it. A
worker is promised to end within ten seconds, on a busy machine too."""

RECONNECT_SECONDS = 1.0
PR_SET_PDEATHSIG = 1
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

GARBAGE_AFTER = 100_000
"""Objects that a horse makes before it looks for garbage among them; a block of a stream has about a thousand."""

GIVE_UP_PAUSES = (0.2, 1.0, 0.0)
"""Seconds after each failed try to give up a dead horse's claims."""

log = logging.getLogger(__name__)
# Loaded before any fork: loading a library in the child of a threaded process may hang.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def serve(name: str) -> None:
    """Answer rings under that name until SIGTERM or SIGINT; the running slice then ends at a chunk boundary."""
    _load()
    seats.take(name)
    stop_signals.listen(*STOP_SIGNALS)
    logging.getLogger("rq.worker").addFilter(_without_redis_tracebacks)
    _give_up_claims(name)  # of a worker that was killed, and is started again as this one
    heartbeat = seats.Heartbeat(name)
    heartbeat.start()
    try:
        while not stop_signals.requested():
            _serve_until_redis_goes(name, heartbeat.beating)
    finally:
        heartbeat.leave()
        doorbell.forget_queue(seats.queue_name(name))


def _load() -> None:
    """Loads before the first fork what each horse would load for itself: the code that works on runs, which RQ finds by
    its name, and the addresses of pages, which notices name."""
    import_module(doorbell.RING.rpartition(".")[0])
    reverse("jobs:run", args=[0])


def _give_up_claims(name: str) -> None:
    """Tried a few times, for a database that is just coming back; then the claims go stale by themselves."""
    for pause in GIVE_UP_PAUSES:
        try:
            seats.abandon_claims(name)
            return
        except (DatabaseError, InterfaceError) as error:
            log.warning("The claims of seat %s cannot be given up yet: %s", name, str(error).strip())
        finally:
            connections.close_all()
        time.sleep(pause)


def _serve_until_redis_goes(name: str, beating: threading.Lock) -> None:
    """RQ's worker quits when Redis goes at a bad moment: the seat then takes a new one, and goes on."""
    try:
        with doorbell.connect() as connection:
            queue = doorbell.queue_at(seats.queue_name(name), connection)
            doorbell.ring_seat(name)
            RingWorker(name, beating, queue).work(logging_level="WARNING")
    except StopRequested:
        stop_signals.request()
    except (RedisError, OSError) as error:
        log.warning("Seat %s waits for Redis: %s", name, error)
    stop_signals.listen(*STOP_SIGNALS)
    if not stop_signals.requested():
        time.sleep(RECONNECT_SECONDS)


def _without_redis_tracebacks(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], (RedisError, NoSuchJobError, InvalidJobOperation)):
        record.msg, record.args = f"{record.getMessage()} {record.exc_info[1]}", None
        record.exc_info = None
    return True


class RingWorker(Worker):
    """RQ's forking worker for one seat.

    Its horse dies with it, is told of a shutdown, and starts without database connections. It outlives a Redis
    that is flushed or away, and performs nothing but rings. RQ's remote commands are switched off.
    """

    max_connection_wait_time = 4.0

    def __init__(self, seat: str, beating: threading.Lock, queue: Queue) -> None:
        # RQ refuses a name that a killed worker still has in Redis: each incarnation gets its own.
        name = f"{seat}-{uuid.uuid4().hex[:8]}"
        super().__init__([queue], name, connection=queue.connection, serializer=JSONSerializer, worker_ttl=20)
        self._beating = beating

    # ---- one ring

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Fork a horse for a ring; anything else that was put into the queue is thrown away."""
        if job.func_name != doorbell.RING:
            self.log.error("Threw away job %s: it calls %s, which is not a ring.", job.id, job.func_name)
            job.delete()
            return
        super().execute_job(job, queue)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork with no database connection open, no beat under way, and no stop signal lost between the two."""
        connections.close_all()
        with self._beating, _stop_signals_wait():
            pid = os.fork()
            if pid == 0:
                _collect_seldom()
                self._be_horse(job, queue)
            self._horse_pid = pid

    def _be_horse(self, job: Job, queue: Queue) -> NoReturn:
        try:
            os.setpgrp()
            self.main_work_horse(job, queue)
        finally:
            os._exit(1)  # whatever happens, the child must not go on as a second worker

    def setup_work_horse_signals(self) -> None:
        """In the horse: SIGTERM asks for the next chunk boundary; the kernel kills it when its worker dies."""
        super().setup_work_horse_signals()
        stop_signals.listen(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != self.pid:  # the worker died before the kernel was asked
            os._exit(1)

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Any) -> None:
        """Wait for the horse's end, whatever Redis does meanwhile."""
        try:
            super().monitor_work_horse(job, queue, execution)
        except RedisError as error:
            self.log.warning("Redis went while run slice %s was at work: %s", job.id, error)
            if self._horse_pid:
                self.wait_for_horse()
        finally:
            self._horse_pid = 0

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: Any) -> None:
        """Ring again at once; a horse that died right at its start is left to the sweeper's pace."""
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)
        _give_up_claims(seats.my_name())
        if job.started_at and (now() - job.started_at).total_seconds() > 1:
            doorbell.ring_workers(job.args[0], besides=seats.my_name() if stop_signals.requested() else "")
        connections.close_all()

    # ---- a shutdown

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()
        if stop_signals.requested():  # by a signal that came before these handlers
            self._stop_requested = True

    def handle_warm_shutdown_request(self) -> None:
        """Called in the handler of the first SIGTERM or SIGINT: hand it on to the horse, and watch it end."""
        stop_signals.request()
        horse = self._horse_pid
        if not horse:
            return
        with suppress(ProcessLookupError):
            os.kill(horse, signal.SIGTERM)
        watch = threading.Timer(STOP_SECONDS, self._kill_late_horse, [horse])
        watch.daemon = True
        watch.start()

    def _kill_late_horse(self, horse: int) -> None:
        if self._horse_pid == horse:
            with suppress(ProcessLookupError):
                os.kill(horse, signal.SIGKILL)

    def set_shutdown_requested_date(self) -> None:
        """Not told to Redis: this runs in a signal handler, where Redis may be away or in the middle of a reply."""

    # ---- Redis: flushed, or away

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """RQ's heartbeat; registers again after Redis was flushed, which RQ does not."""
        super().heartbeat(timeout, pipeline)
        if pipeline is None and not self.connection.sismember(self.redis_workers_keys, self.key):
            self.connection.hset(self.key, mapping=self.serialize())
            register(self)
            doorbell.ring_seat(seats.my_name())

    def maintain_heartbeats(self, job: Job, execution: Any) -> None:
        """RQ's heartbeats while a horse works: without Redis the horse works on."""
        with suppress(RedisError):
            super().maintain_heartbeats(job, execution)

    def subscribe(self) -> None:
        """No remote commands, and no thread for them."""

    def unsubscribe(self) -> None:
        """Nothing was subscribed to."""


def _collect_seldom() -> None:
    """What was loaded before stays, and rows pass by the thousand: to look for garbage among them took a third of the
    CPU of a stream between two databases."""
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER)


@contextmanager
def _stop_signals_wait() -> Iterator[None]:
    """Signals that arrive in here are handled on leaving it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
