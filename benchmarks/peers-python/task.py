"""One measurement: the same command line, events and report as `common`'s in Rust."""

import argparse
import json
import uuid
from dataclasses import dataclass

RARE_TYPE = "OrderRefunded"
RARE_CUSTOMER = "customer-rare"
RARE_COUNT = 100
EVENTS_PER_OWNER = 10
TYPES = [
    "OrderPlaced", "OrderConfirmed", "OrderPaid", "OrderPacked",
    "OrderShipped", "OrderDelivered", "OrderReturned", "OrderClosed",
]
MASK = (1 << 64) - 1


class Conflict(Exception):
    """Somebody else was first."""


class Absent(Exception):
    """The system has no such thing."""


@dataclass
class Event:
    """An event as all systems get it."""

    event_type: str
    payload: dict

    @property
    def tags(self):
        return [f"course:{self.payload['course']}", f"student:{self.payload['student']}"]


def parse_arguments():
    parser = argparse.ArgumentParser()
    for name in ("system", "workload", "place", "result"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--variant", default="")
    parser.add_argument("--go")
    for name, default in (("callers", 1), ("events", 1), ("seed", 1), ("fill", 0), ("operations", None)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=1.0)
    return parser.parse_args()


def mixed(value):
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def stream_numbered(seed, number):
    rotated = ((seed << 32) | (seed >> 32)) & MASK
    high, low = mixed((seed + number) & MASK), mixed((~number & MASK) ^ rotated)
    return uuid.UUID(int=(high << 64) | low)


def boundary_count(size):
    return max(size // EVENTS_PER_OWNER, 100)


def about(stream, number, course, student):
    payload = {
        "order": str(stream),
        "course": f"c{course:07}",
        "student": f"s{student:07}",
        "customer": f"customer-{number % 1000:04}",
        "number": number,
        "cents": 1000 + number % 90000,
    }
    return Event(TYPES[number % 8], payload)


def fresh(stream, number, boundaries=100_000):
    owner = mixed(number)
    return about(stream, number, owner % boundaries, (owner >> 32) % boundaries)


def preloaded(number, size):
    """The stream and the event of this number in a store that is preloaded with `size` events."""
    boundaries = boundary_count(size)
    stream = stream_numbered(0, number // EVENTS_PER_OWNER)
    event = about(stream, number, number % boundaries, (number * 7919 + number // boundaries) % boundaries)
    place = number % max(size // RARE_COUNT, 2)
    if place == 0:
        event.event_type = RARE_TYPE
    elif place == 1:
        event.payload["customer"] = RARE_CUSTOMER
    return stream, event


def three_digits(nanoseconds):
    """Latencies need not be told apart any finer."""
    step = 1
    while nanoseconds // step >= 1000:
        step *= 10
    return nanoseconds // step * step


def write_report(path, report):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file)
