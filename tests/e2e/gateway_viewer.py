"""The viewer of gateway_viewer.mjs with Python's websockets: gateway_viewer.py URL TICKET AGENT.

It prints each message of the daemon, and the close code of each connection. A connection that ends before its resume
ticket has arrived is the last one.
"""

import asyncio
import json
import sys

import websockets


async def view(url, ticket, agent):
    cursor = "0"
    while ticket:
        protocols = ["reeve.v1", f"reeve.ticket.{ticket}"]
        ticket = None
        async with websockets.connect(url, subprotocols=protocols) as socket:

            async def send(number, method, params):
                await socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))

            try:
                async for text in socket:
                    print(text, flush=True)
                    params = json.loads(text).get("params", {})
                    if params.get("type") == "gateway.ready":
                        ticket = params["data"]["resume"]
                        await send(1, "events.subscribe", {"agent": agent, "after": cursor})
                        await send(2, "agents.get", {"id": agent})
                    elif "seq" in params:
                        cursor = f"{params['epoch']}-{params['seq']}"
            except websockets.ConnectionClosed:
                print(json.dumps({"closed": socket.close_code}), flush=True)


asyncio.run(view(*sys.argv[1:]))
