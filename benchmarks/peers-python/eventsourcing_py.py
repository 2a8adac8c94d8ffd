"""eventsourcing: its application recorder for streams and its DCB recorder for decisions, on psycopg."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlparse

from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem
from eventsourcing.dcb.postgres_tt import PostgresDCBRecorderTT
from eventsourcing.persistence import IntegrityError, PersistenceError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from task import Absent, Conflict, preloaded

PAGE = 1_000


class Eventsourcing:
    """Both recorders; their calls block, so each caller has a thread, as an application server's requests have."""

    @classmethod
    async def open(cls, place):
        self = cls()
        url = urlparse(place)
        self.datastore = PostgresDatastore(
            dbname=url.path.lstrip("/"), host=url.hostname, port=url.port, user=url.username, password="none",
            pool_size=16, max_overflow=0, max_waiting=10_000, connect_timeout=60,
        )
        self.threads = ThreadPoolExecutor(max_workers=64)
        self.streams = PostgresApplicationRecorder(self.datastore)
        self.boundaries = PostgresDCBRecorderTT(self.datastore)
        # Several processes may open one database at once, and it does not expect that.
        for attempts in range(50):
            try:
                for recorder in (self.streams, self.boundaries):
                    await self.call(recorder.create_table)
                return self
            except PersistenceError:
                await asyncio.sleep(0.02 * attempts)
        raise RuntimeError("its tables can't be created")

    async def call(self, function, *arguments, **options):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, lambda: function(*arguments, **options))

    async def append(self, stream, expected, events):
        stored = [
            StoredEvent(
                originator_id=stream, originator_version=version, topic=event.event_type,
                state=json.dumps(event.payload).encode(),
            )
            for version, event in enumerate(events, expected + 1)
        ]
        try:
            await self.call(self.streams.insert_events, stored)
        except IntegrityError as error:
            raise Conflict from error

    async def version(self, stream):
        newest = await self.call(self.streams.select_events, stream, desc=True, limit=1)
        return newest[0].originator_version if newest else 0

    async def read_stream(self, stream):
        return len(await self.call(self.streams.select_events, stream))

    async def feed(self):
        count, start = 0, None
        while True:
            page = await self.call(
                self.streams.select_notifications, start, PAGE, inclusive_of_start=False
            )
            count += len(page)
            if len(page) < PAGE:
                break
            start = page[-1].id
        return count

    async def decide(self, event):
        query = DCBQuery(items=[DCBQueryItem(tags=[tag]) for tag in event.tags])

        def read_and_append():
            response = self.boundaries.read(query)
            for _ in response:
                pass
            self.boundaries.append([dcb_event(event)], DCBAppendCondition(query, after=response.head))

        try:
            await self.call(read_and_append)
        except IntegrityError as error:
            raise Conflict from error

    async def find_type(self, event_type):
        query = DCBQuery(items=[DCBQueryItem(types=[event_type])])
        return len(await self.call(lambda: list(self.boundaries.read(query))))

    async def find_customer(self, _customer):
        raise Absent("no payload predicates")

    async def preload(self, size):
        """Into both recorders: they have tables of their own."""

        def fill():
            for first in range(0, size, 1_000):
                numbers = range(first, min(first + 1_000, size))
                events = [preloaded(number, size) for number in numbers]
                stored = [
                    StoredEvent(
                        originator_id=stream, originator_version=number % 10 + 1, topic=event.event_type,
                        state=json.dumps(event.payload).encode(),
                    )
                    for number, (stream, event) in zip(numbers, events, strict=True)
                ]
                self.streams.insert_events(stored)
                self.boundaries.append([dcb_event(event) for _, event in events])

        await self.call(fill)

    async def close(self):
        self.threads.shutdown()
        self.datastore.close()


def dcb_event(event):
    return DCBEvent(type=event.event_type, data=json.dumps(event.payload).encode(), tags=event.tags)
