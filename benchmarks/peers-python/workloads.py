"""The workloads, as `common/src/perform.rs` has them. Callers are tasks of one event loop; a system whose calls block
gives each caller a thread."""

import asyncio
import collections
import os
import random
import time

from task import (
    RARE_COUNT, RARE_CUSTOMER, RARE_TYPE, Absent, Conflict, about, boundary_count, fresh, preloaded,
    stream_numbered, three_digits,
)

STREAMED = 20_000
CONTENDED = 100


async def perform(system, task):
    if task.fill:
        await preload(system, task.fill)
    name = "append" if task.workload in ("append_processes", "growth") else task.workload
    return await WORKLOADS[name](system, task)


async def closed_loop(task, operation):
    """`operation(caller, done)` says how many things it did, and how often it tried again."""
    if task.go:
        with open(f"{task.result}.ready", "w", encoding="utf-8"):
            pass
        while not os.path.exists(task.go):
            await asyncio.sleep(0.001)
    begin = time.perf_counter() + min(max(task.seconds / 4, 0.25), 1)
    end = begin + task.seconds
    quota = max(task.operations // task.callers, 1) if task.operations else None
    latencies, totals = collections.Counter(), {"done": 0, "retries": 0, "first": None, "last": 0.0}

    async def call(caller):
        done, things = 0, 0
        while quota is None or done < quota:
            started = time.perf_counter()
            if started >= end and things > 0:
                break
            did, retries = await operation(caller, done)
            stopped = time.perf_counter()
            done += 1
            if started >= begin or quota is not None:
                things += did
                latencies[three_digits(int((stopped - started) * 1e9))] += 1
                totals["done"] += did
                totals["retries"] += retries
                totals["first"] = started if totals["first"] is None else min(totals["first"], started)
                totals["last"] = max(totals["last"], stopped)

    await asyncio.gather(*(call(caller) for caller in range(task.callers)))
    return {
        "outcome": "rate",
        "done": totals["done"],
        "seconds": totals["last"] - (totals["first"] or 0),
        "retries": totals["retries"],
        "latencies": sorted(latencies.items()),
    }


def unique(task, caller, done):
    return (task.seed << 44) | (caller << 32) | done


async def append(system, task):
    async def operation(caller, done):
        stream = stream_numbered(task.seed << 40 | caller << 24, done // 10)
        await system.append(stream, done % 10, [fresh(stream, unique(task, caller, done))])
        return 1, 0

    return await closed_loop(task, operation)


async def append_batch(system, task):
    async def operation(caller, done):
        stream = stream_numbered(task.seed << 40 | caller << 24, done)
        first = unique(task, caller, done) * task.events % (1 << 63)
        await system.append(stream, 0, [fresh(stream, first + index) for index in range(task.events)])
        return task.events, 0

    return await closed_loop(task, operation)


async def append_contended(system, task):
    epoch = 0

    async def operation(caller, done):
        nonlocal epoch
        retries = 0
        while True:
            current = epoch
            stream = stream_numbered(task.seed << 40, current)
            expected = await system.version(stream)
            if expected >= CONTENDED:
                epoch = max(epoch, current + 1)
                continue
            try:
                await system.append(stream, expected, [fresh(stream, unique(task, caller, done))])
                return 1, retries
            except Conflict:
                retries += 1

    return await closed_loop(task, operation)


async def decide(system, task):
    boundaries = boundary_count(task.events)
    chance = random.Random(task.seed)

    async def operation(caller, done):
        stream = stream_numbered(task.seed << 40 | caller << 24, done)
        course, student = chance.randrange(boundaries), chance.randrange(boundaries)
        retries = 0
        while True:
            try:
                await system.decide(about(stream, unique(task, caller, done), course, student))
                return 1, retries
            except Conflict:
                retries += 1

    return await closed_loop(task, operation)


async def find(system, task):
    async def operation(_caller, _done):
        if task.variant == "payload":
            found = await system.find_customer(RARE_CUSTOMER)
        else:
            found = await system.find_type(RARE_TYPE)
        return int(as_many(found, RARE_COUNT) > 0), 0

    return await closed_loop(task, operation)


async def read_stream(system, task):
    operations = task.operations * 4 if task.operations else STREAMED
    count = max(min(STREAMED, operations) // task.events, 2)
    seed = task.seed << 40
    for index in range(count):
        stream = stream_numbered(seed, index)
        for first in range(0, task.events, 500):
            numbers = range(first, min(first + 500, task.events))
            await system.append(stream, first, [fresh(stream, index * task.events + number) for number in numbers])
    chance = random.Random(task.seed)

    async def operation(_caller, _done):
        found = await system.read_stream(stream_numbered(seed, chance.randrange(count)))
        return as_many(found, task.events), 0

    return await closed_loop(task, operation)


async def feed(system, task):
    begin = time.perf_counter()
    found = at_least(await system.feed(), task.events)
    seconds = time.perf_counter() - begin
    return {"outcome": "rate", "done": found, "seconds": seconds, "retries": 0, "latencies": []}


async def memory(system, task):
    before = mebibytes("VmRSS:")
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    at_least(await system.feed(), task.events)
    return {"outcome": "figure", "value": max(mebibytes("VmHWM:") - before, 0)}


async def delivery(_system, _task):
    raise Absent("its subscriptions are not measured")


async def projection(_system, _task):
    raise Absent("its projections are a framework of their own, which is not measured")


async def relay(_system, _task):
    raise Absent("no outbox")


async def preload_task(system, task):
    begin = time.perf_counter()
    await preload(system, task.events)
    seconds = time.perf_counter() - begin
    return {"outcome": "rate", "done": task.events, "seconds": seconds, "retries": 0, "latencies": []}


async def preload(system, size):
    if hasattr(system, "preload"):
        return await system.preload(size)
    firsts = iter(range(0, size, 10))

    async def fill():
        for first in firsts:
            events = [preloaded(number, size) for number in range(first, min(first + 10, size))]
            await system.append(events[0][0], 0, [event for _, event in events])

    await asyncio.gather(*(fill() for _ in range(16)))


WORKLOADS = {
    "append": append,
    "append_batch": append_batch,
    "append_contended": append_contended,
    "decide": decide,
    "filter": find,
    "read_stream": read_stream,
    "feed": feed,
    "memory": memory,
    "delivery": delivery,
    "projection": projection,
    "relay": relay,
    "preload": preload_task,
}


def mebibytes(key):
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))


def as_many(found, wanted):
    if found != wanted:
        raise RuntimeError(f"{found} events were read, and {wanted} are there")
    return found


def at_least(found, wanted):
    if found < wanted:
        raise RuntimeError(f"{found} events were read, and {wanted} are there")
    return found
