"""Calling an author's code: tools, steps, and what is asked about them. Whatever it does, its worker lives on."""

import asyncio
import inspect
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from shared import log
from worker.halts import Halted
from worker.threads import in_thread

logger = log.get(__name__)


class TookTooLong(Exception):
    """It did not end in time, and was stopped, if it could be."""


class Escaped(Exception):
    """It raised what is no Exception, which would have ended the worker or passed for the job's own end."""


async def call(function: Callable[[], Any], seconds: float) -> Any:
    """What the function returns; a sync one runs in a thread, where it cannot be interrupted. Raises Exceptions alone:
    its own, TookTooLong and Escaped. Only a cancel of the attempt itself goes through."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            result = await (function() if is_async(function) else in_thread(function))
            return await result if inspect.isawaitable(result) else result  # of a plain function that returns one
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Escaped("it was cancelled from within") from cancelled  # by itself: nobody stopped the job
    except (Halted, GeneratorExit):
        raise
    except Exception as error:
        if limit.expired():
            raise TookTooLong(f"it did not end within {seconds:g} seconds") from error
        raise
    except BaseException as error:
        raise Escaped(f"{type(error).__name__}: {error}") from error


async def ask(verify: Callable[..., Any], given: Mapping[str, Any], seconds: float, *, about: str) -> Any:
    """What a `verify` function says; None, that it cannot tell, when it fails."""
    try:
        return await call(partial(verify, **given), seconds)
    except Exception as error:
        logger.warning("verify_failed", about=about, error=type(error).__name__, where=last_line(error))
        return None


def is_async(function: Callable[..., Any]) -> bool:
    """Whether it can be stopped."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def last_line(error: BaseException) -> str:
    """`file:line` where it was raised; the message may hold what no log may hold."""
    raised = error.__cause__ if isinstance(error, TookTooLong | Escaped) else error
    line = traceback.extract_tb(raised.__traceback__ if raised else None)[-1]
    return f"{line.filename}:{line.lineno}"
