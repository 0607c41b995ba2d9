#!/usr/bin/env python3
"""A client of reeve's HTTP API, in the standard library of Python.

    client.py KIND PROMPT FOLLOW_UP [PROGRAM ARGUMENT...]

It starts an agent, shows the agent's events, asks you whether the agent may use a tool, sends the second message when
the first one is done, and ends with the second one. REEVE_TOKEN is a token of scope admin, and REEVE_SERVER the address
of the daemon, http://127.0.0.1:8080 if it is not set. The daemon may go away at any time: the client waits for it.
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

SERVER = os.environ.get("REEVE_SERVER", "http://127.0.0.1:8080")
TOKEN = os.environ["REEVE_TOKEN"]
# The daemon says something at least every 15 s. After three times that the connection is dead, even if no error tells.
SILENCE_S = 45
# These errors mean that the connection or the daemon went away: the same request can be sent again.
AWAY = (OSError, http.client.HTTPException)


class Problem(Exception):
    """An error that the daemon answers (RFC 9457). Its `code` is stable; its `detail` is for people."""

    def __init__(self, answer):
        self.status = answer.status
        document = json.load(answer)
        self.code = document["code"]
        super().__init__(document["detail"])


def send(method, path, body=None, key=None):
    """Sends one request and returns the answer, an open file. A Problem is the daemon's, the errors AWAY are not."""
    request = urllib.request.Request(SERVER + path, method=method)
    request.add_header("Authorization", f"Bearer {TOKEN}")
    if key:
        request.add_header("Idempotency-Key", key)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        return urllib.request.urlopen(request, timeout=SILENCE_S)
    except urllib.error.HTTPError as error:
        raise Problem(error) from None


def call(method, path, body=None):
    """Returns the JSON of the answer. It repeats the request until there is one; the key makes that safe."""
    key = str(uuid.uuid4())
    while True:
        try:
            with send(method, path, body, key) as answer:
                return json.load(answer)
        except Problem as problem:
            # Not now: the daemon is about to stop (503), or still at work on the request that was sent before.
            if problem.status != 503 and problem.code != "request_under_way":
                raise
        except AWAY:
            pass
        time.sleep(0.5)


def frames(answer):
    """The frames of a stream of server-sent events: their types and their data."""
    kind, data = "", ""
    for line in answer:
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            data += value
        elif name == "":  # an empty line ends a frame
            if data:
                yield kind, json.loads(data)
            kind, data = "", ""


def stream(agent):
    """All events of the agent, from the first one on, each once and in order, until the agent is deleted."""
    cursor = "0"
    while True:
        try:
            with send("GET", f"/agents/{agent}/stream?follow=1&after={cursor}") as answer:
                for kind, data in frames(answer):
                    if kind == "stream.gap":
                        print(f"the events from {data['from']} to {data['to']} are lost: {data['reason']}")
                    elif kind == "stream.bye" and data["reason"] == "agent_deleted":
                        return
                    elif kind == "stream.bye" and data["reason"] == "unreadable":
                        sys.exit(f"the events of {agent} end: unreadable")
                    elif not kind.startswith("stream."):
                        yield data
                        cursor = f"{data['epoch']}-{data['seq']}"
        except Problem as problem:
            if problem.status != 503:
                raise
        except AWAY:
            pass
        time.sleep(0.5)


def decide(agent, question):
    """Asks you. Somebody else may have answered meanwhile: the first answer counts."""
    print(f"May {agent} use {question['tool']} with {json.dumps(question['input'])}? [y/n] ", end="", flush=True)
    decision = "allow_once" if sys.stdin.readline().strip() == "y" else "deny"
    try:
        call("POST", f"/agents/{agent}/approvals/{question['id']}", {"decision": decision})
    except Problem as problem:
        if problem.code != "already_resolved":
            raise


def main(kind, prompt, follow_up, *command):
    spec = {"kind": kind, "prompt": prompt, "cwd": os.getcwd()}
    if command:
        spec["command"] = command
    agent = call("POST", "/agents", spec)["id"]
    second = None  # the id of the second message
    for event in stream(agent):
        kind, data = event["type"], event["data"]
        print(f"{event['epoch']}-{event['seq']} {kind} {json.dumps(data)[:200]}", flush=True)
        if kind == "approval.requested":
            decide(agent, data)
        elif kind == "run.completed" and second is None:
            second = call("POST", f"/agents/{agent}/message", {"text": follow_up})["message_id"]
        elif kind == "run.completed" and data.get("message_id", second) == second:  # a plain program's has no id
            return f"{agent} has done both"
        elif kind in ("run.failed", "run.cancelled", "agent.failed"):
            sys.exit(f"{agent}: {kind}")
    sys.exit(f"{agent} was deleted")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    try:
        print(main(*sys.argv[1:]))
    except Problem as problem:
        sys.exit(f"{problem.code}: {problem}")
