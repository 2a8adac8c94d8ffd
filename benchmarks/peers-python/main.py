"""Peers in Python: one measurement, one report, like the programs in Rust."""

import asyncio
import importlib
import traceback

from task import Absent, parse_arguments, write_report
from workloads import perform

SYSTEMS = {"eventsource-py": ("eventsource_py", "EventsourcePy"), "eventsourcing": ("eventsourcing_py", "Eventsourcing")}


async def measure(task):
    module, name = SYSTEMS[task.system]
    system = await getattr(importlib.import_module(module), name).open(task.place)
    try:
        return await perform(system, task)
    finally:
        await system.close()


def main():
    task = parse_arguments()
    try:
        report = asyncio.run(measure(task))
    except Absent as absent:
        report = {"outcome": "absent", "reason": str(absent)}
    except Exception as error:  # whatever it is, it is the report
        traceback.print_exc()
        report = {"outcome": "broken", "reason": f"{type(error).__name__}: {error}"[:300]}
    write_report(task.result, report)


if __name__ == "__main__":
    main()
