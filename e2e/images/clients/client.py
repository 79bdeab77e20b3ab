"""`python3 client.py URL legacy|modern`: the outcome (outcome.ts) with the official Python client, as JSON."""

import json
import os
import sys
import time

import anyio
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CreateMessageResult, ElicitResult, TextContent

URL, ERA = sys.argv[1], sys.argv[2]
ASKING = {
    "legacy": ("test_elicitation", "test_sampling"),
    "modern": ("test_input_required_result_elicitation", "test_input_required_result_sampling"),
}


async def elicited(_context, params):
    properties = params.requested_schema.get("properties", {})
    return ElicitResult(action="accept", content={key: "ann" for key in properties})


async def sampled(_context, _params):
    return CreateMessageResult(role="assistant", model="none", content=TextContent(type="text", text="sampled"))


async def outcome(client):
    async def call(name, **arguments):
        return (await client.call_tool(name, arguments)).content[0].text

    async def given_up(key):
        with anyio.move_on_after(0.5):
            await client.call_tool("test_wait", {"key": key})

    async def was_cancelled(key):
        answer = "false"
        with anyio.move_on_after(10):
            while answer != "true":
                await anyio.sleep(0.1)
                answer = await call("test_was_cancelled", key=key)
        return answer

    async def code(name):
        try:
            return await call(name)
        except MCPError as error:
            return str(error.error.code)

    seen = []

    async def progressed(progress, _total, _message):
        seen.append(int(progress))

    key = f"{os.getpid()}-{time.time()}"
    await given_up(key)
    elicitation, sampling = ASKING[ERA]
    await client.call_tool("test_tool_with_progress", {}, progress_callback=progressed)
    prompt = await client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
    return {
        "tools": len((await client.list_tools()).tools),
        "call": await call("test_simple_text"),
        "progress": seen,
        "resource": (await client.read_resource("test://template/7/data")).contents[0].text,
        "prompt": prompt.messages[0].content.text,
        "elicitation": await call(elicitation, message="Who are you?"),
        "sampling": await call(sampling, prompt="Say something"),
        "unknown": await code("no_such_tool"),
        "cancelled": await was_cancelled(key),
    }


async def main():
    mode = "legacy" if ERA == "legacy" else "2026-07-28"
    async with Client(URL, mode=mode, elicitation_callback=elicited, sampling_callback=sampled) as client:
        print(json.dumps(await outcome(client)))


anyio.run(main)
