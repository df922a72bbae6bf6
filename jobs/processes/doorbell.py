"""The doorbell: rings carry a run's id to the seats' queues in Redis. Losing one loses nothing: the sweeper
rings again.
"""

from __future__ import annotations

import logging
import uuid

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from rq import Queue
from rq.serializers import JSONSerializer

from jobs import states
from jobs.models import Run
from jobs.processes import seats
from jobs.processes.redis_client import client

RING = "jobs.workers.tasks.ring"
# A slice ends by itself soon after its deadline, but a schema step that rewrites a large table cannot be cut.
# Stuck statements have timeouts of their own and a dead worker's claims go stale, so this is a last resort.
TIMEOUT_SECONDS: int = getattr(settings, "RING_TIMEOUT", 6 * 3600)
FAILURE_TTL = 60

log = logging.getLogger(__name__)


REVIEWS = 0
"""In place of a run's id, which is never 0: look for reviews that wait."""


def ring_workers(run_id: int, besides: str = "") -> bool:
    """Ring every live seat for the run, `besides` one, unless a ring for it is waiting there already.

    False if nobody could be rung: no worker is there, or Redis or the database is away. Never raises; the run is
    saved, and the sweeper rings later.
    """
    try:
        queues = [seat.queue for seat in seats.live().exclude(name=besides)]
        with connect() as connection:
            for name in queues:
                _ring_one(queue_at(name, connection), run_id)
    except (RedisError, DatabaseError, InterfaceError) as error:
        log.warning("Run %s could not be rung, the sweeper will: %s", run_id, str(error).strip())
        return False
    return bool(queues)


def ring_seat(name: str) -> None:
    """Ring one seat for every run that is going on, so that a worker that has just come helps at once.

    Raises RedisError. Without the database nobody is rung; the sweeper finds what nobody works on.
    """
    try:
        going_on = list(Run.objects.filter(status__in=sorted(states.RINGING)).values_list("pk", flat=True))
    except (DatabaseError, InterfaceError) as error:
        log.warning("Seat %s cannot ask yet what is going on: %s", name, str(error).strip())
        return
    finally:
        connections.close_all()
    with connect() as connection:
        for run_id in going_on:
            _ring_one(queue_at(seats.queue_name(name), connection), run_id)


def _ring_one(queue: Queue, run_id: int) -> None:
    # Two at the same moment may both find nothing waiting: two rings are wasteful, and harmless. The id must not
    # be the same for each ring: a running one takes the waiting one's record away when it ends.
    prefix = f"ring-{run_id}-"
    if any(job_id.startswith(prefix) for job_id in queue.get_job_ids()):
        return
    queue.enqueue(
        RING,
        run_id,
        job_id=prefix + uuid.uuid4().hex,
        job_timeout=TIMEOUT_SECONDS,
        result_ttl=0,
        failure_ttl=FAILURE_TTL,
        description=f"ring for run {run_id}",
    )


def connect() -> Redis:
    """A Redis connection that gives up within about two seconds; close it after use."""
    return client()


SILENT = "Redis does not answer"


def complaint(seconds: float = 2) -> str:
    """Why no ring can be put into Redis now, as a sentence without its end; '' where one can.

    A server that is full, or that cannot save, still answers a ping: only a write tells.
    """
    redis = client(seconds)
    try:
        redis.set("migrator:probe", "1", ex=5)
    except OutOfMemoryError:
        return "Redis is full: it takes nothing more"
    except ResponseError as error:
        return f"Redis takes no writes: {error}"
    except RedisError:
        return SILENT
    finally:
        redis.close()
    return ""


def queue_at(name: str, connection: Redis) -> Queue:
    """The RQ queue of that name; JSON, so that nothing out of Redis is ever unpickled."""
    return Queue(name, connection=connection, serializer=JSONSerializer)


def forget_queue(name: str) -> None:
    """Remove the queue of a seat that was given up, with the rings that wait in it."""
    try:
        with connect() as connection:
            queue_at(name, connection).delete(delete_jobs=True)
    except RedisError as error:
        log.info("Queue %s is left behind: %s", name, error)
