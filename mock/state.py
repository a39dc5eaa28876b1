"""What the mock remembers, in Redis: a hash of each kind, gone a day after the last change."""

import json
import os
import threading
import time
from typing import Any

import redis

DAY = 86_400  # seconds
client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"), decode_responses=True)
lock = threading.RLock()  # of everything that reads and then writes

SETTINGS = {
    "delay": 0.5,  # seconds before each status
    "loss": 0,  # per cent of the statuses
    "duplicates": 0,  # per cent
    "disorder": False,
    "fault": "",  # 500, hang, or drop: the message is accepted, and the answer lost
    "messages_per_second": 80,
    "burst_to_one_person": 45,
}
TEMPLATES = {
    "hello_world:en_US": {"status": "APPROVED", "parameters": 0},
    "visit_thanks:en": {"status": "APPROVED", "parameters": 2},
    "visit_thanks:en_GB": {"status": "APPROVED", "parameters": 2},
    "visit_thanks:de": {"status": "APPROVED", "parameters": 2},
}


def write(kind: str, name: str, value: Any, ttl: int = DAY) -> None:
    key = f"mock:{kind}"
    client.hset(key, name, json.dumps(value))
    client.expire(key, ttl)


def read(kind: str) -> dict[str, Any]:
    return {str(name): json.loads(value) for name, value in client.hgetall(f"mock:{kind}").items()}


def get(kind: str, name: str) -> Any:
    value = client.hget(f"mock:{kind}", name)
    return None if value is None else json.loads(value)


def get_settings() -> dict[str, Any]:
    return SETTINGS | read("settings")


def get_templates() -> dict[str, Any]:
    return TEMPLATES | read("templates")


def reset() -> None:
    if keys := list(client.scan_iter("mock:*")):
        client.delete(*keys)


def open_window(phone: str) -> None:
    """For 24 hours, in which any text may be sent to this person."""
    client.set(f"mock:window:{phone}", 1, ex=DAY)


def is_window_open(phone: str) -> bool:
    return bool(client.exists(f"mock:window:{phone}"))


def count_this_second() -> int:
    key = f"mock:second:{int(time.time())}"
    count = int(client.incr(key))
    client.expire(key, 2)
    return count


def take_turn(phone: str, burst: int, seconds: float = 6) -> bool:
    """Return whether the person may get another message: one in six seconds, of which a burst is borrowed."""
    now, key = time.time(), f"mock:turn:{phone}"
    with lock:
        free_at = max(now, float(client.get(key) or 0))
        if free_at - now > (burst - 1) * seconds:
            return False
        client.set(key, free_at + seconds, ex=DAY)
    return True
