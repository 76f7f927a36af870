"""Notifications by Celery over Redis or Valkey. A notification means only "check the ledger".

The settings of Celery for those who notify and those who listen.
None of them matters for what is done, only for how soon: a notification that is lost,
doubled or late changes nothing else (``docs/decisions``).
"""

import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from celery import Celery

from backend.ledger.job import JobKind, listener_of
from backend.ledger.unit_of_work import JobNotifier, NoNotifier

log = structlog.get_logger()

TASK_OF: Final = {JobKind.TRAIN: "tellapart.train", JobKind.IMPORT: "tellapart.import"}
"""Name of the task that a notification starts, by listener."""
QUEUE_OF: Final = {JobKind.TRAIN: "train", JobKind.IMPORT: "light"}
"""Queue of the notifications: a process of its own each, so that a training of ten hours delays no import."""
TIME_LIMITS_S: Final = {JobKind.TRAIN: (None, None), JobKind.IMPORT: (None, None)}
"""(soft, hard) limit of a task. None: the supervisor watches progress instead of the clock."""

_QUIET_AFTER_FAILURE_S: Final = 10.0
_KEY_PREFIX: Final = "tellapart:"


def broker_url(redis_url: str) -> str:
    """What kombu calls the address; for it a socket is a transport of its own."""
    if redis_url.startswith("unix://"):
        return f"redis+socket://{redis_url.removeprefix('unix://')}"
    return redis_url


def celery_settings(redis_url: str) -> dict[str, Any]:  # Any: settings of several types
    """Celery's settings, the same for every process."""
    return {
        "broker_url": broker_url(redis_url),
        # No results: the ledger has them.
        "result_backend": None,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_accept_content": ["json"],
        # Acknowledged before anything is done; the lease in the ledger does the recovery.
        "task_acks_late": False,
        "task_reject_on_worker_lost": False,
        "worker_pool": "prefork",
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Only for a SIGQUIT by hand: a deploy's SIGTERM and the drain flag need no time-out.
        "worker_soft_shutdown_timeout": 60.0,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "broker_transport_options": {
            "visibility_timeout": 3600,
            "socket_keepalive": True,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "health_check_interval": 25,
            "retry_on_timeout": True,
            "global_keyprefix": _KEY_PREFIX,
        },
        "task_publish_retry_policy": {
            "max_retries": 3,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 0.5,
        },
        "worker_max_tasks_per_child": 100,
        "worker_hijack_root_logger": False,
        "task_default_queue": QUEUE_OF[JobKind.IMPORT],
    }


def notifier_of(redis_url: str | None) -> JobNotifier:
    """The broker at that address; ``NoNotifier`` where there is none, as workers then poll the ledger."""
    return CeleryNotifier(redis_url) if redis_url else NoNotifier()


class CeleryNotifier:
    """Notifies through the broker. A broker that is away costs a request a second at most, once in a while."""

    def __init__(self, redis_url: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        settings = celery_settings(redis_url)
        settings["broker_transport_options"] |= {
            "socket_connect_timeout": 1,
            "socket_timeout": 1,
            "retry_on_timeout": False,
        }
        settings["task_publish_retry_policy"] |= {"max_retries": 1}
        settings["broker_connection_timeout"] = 1
        self._app: Any = Celery("tellapart", set_as_current=False)  # Any: Celery comes without types
        self._app.conf.update(settings)
        self._monotonic = monotonic
        self._quiet_until = float("-inf")

    def notify(self, kind: JobKind) -> None:
        """Notify the workers that take jobs of this kind; a failure is logged and the sweep notifies again."""
        if self._monotonic() < self._quiet_until:
            return
        try:
            listener = listener_of(kind)
            self._app.send_task(TASK_OF[listener], queue=QUEUE_OF[listener], expires=3600, ignore_result=True)
        # Of kombu, redis or the system, in a dozen kinds; all mean that nobody was notified.
        except Exception as error:
            self._quiet_until = self._monotonic() + _QUIET_AFTER_FAILURE_S
            log.warning("notification_failed", kind=kind, error=f"{type(error).__name__}: {error}")
