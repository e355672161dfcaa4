"""Running a blocking function in a thread of its own.

Not in asyncio's pool: that has a handful of threads for any number of jobs, and a process cannot end while one of them
hangs. A daemon thread holds nobody up; there are at most as many as tool calls at once.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any


async def in_thread(function: Callable[[], Any]) -> Any:
    """What the function returns or raises. When this is cancelled the function runs on, unheard."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def run() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = context.run(function)
        except StopIteration:  # cannot travel through a future
            error = RuntimeError("the function raised StopIteration")
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True, name="tool").start()
    return await done
