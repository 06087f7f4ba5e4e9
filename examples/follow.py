"""Prints readings as they come, and after a break goes on where it was.

    pip install websockets
    TELLTALE_URL=http://127.0.0.1:8080 TELLTALE_TOKEN=... python3 follow.py 'devices/+/telemetry/environment'
"""

import asyncio
import json
import os
import random
import sys

import websockets

URL = os.environ.get("TELLTALE_URL", "http://127.0.0.1:8080").replace("http", "ws", 1) + "/v1/live"
PROTOCOLS = ["telltale.v1", "telltale.token." + os.environ.get("TELLTALE_TOKEN", "")]


def is_final(error):
    """Whether the same would happen again: closed with 4500 to 4999, or refused by an HTTP status that is of what was asked."""
    closed = getattr(getattr(error, "rcvd", None), "code", 0)
    # `InvalidStatus` has a response; before websockets 14 it is `InvalidStatusCode`, which has the number.
    response = getattr(error, "response", None)
    status = getattr(response or error, "status_code", 0)
    return 4500 <= closed <= 4999 or (400 <= status <= 499 and status != 429)


async def follow(filter):
    """Yields frames of one subscription, for ever. Every frame with a cursor says where to go on."""
    cursor = None
    while True:
        try:
            async with websockets.connect(URL, subprotocols=PROTOCOLS, max_size=None) as socket:
                start = {"last": "5m"} if cursor is None else {"after": cursor}
                await socket.send(json.dumps({"type": "subscribe", "id": "1", "filter": filter, "start": start}))
                async for text in socket:
                    frame = json.loads(text)
                    if frame["type"] == "error":
                        if not frame["retry"]:
                            sys.exit(frame["message"])
                        print(frame["message"], file=sys.stderr)
                        break  # It may go better later, and the subscription has ended.
                    yield frame
                    cursor = frame.get("cursor", frame.get("before", cursor))
        except (OSError, asyncio.TimeoutError, websockets.ConnectionClosed, websockets.InvalidHandshake) as error:
            if is_final(error):
                sys.exit(str(error))
            print(error, file=sys.stderr)
        await asyncio.sleep(random.uniform(0, 2))


async def main():
    filter = sys.argv[1] if len(sys.argv) > 1 else "devices/+/telemetry/environment"
    async for frame in follow(filter):
        if frame["type"] == "readings":
            for reading in frame["readings"]:
                print(reading["device"], reading["ts"], json.dumps(reading["values"]), flush=True)
        elif frame["type"] == "gap":
            print(frame["missed"], "messages are missing", file=sys.stderr)


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
