"""`POST /v1/messages`: check, admit, answer; and notice when the client leaves."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import asdict
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from local.provider.access import check_access, new_request_id
from local.provider.call import ModelCall, send_error
from local.provider.connection import client_gone, read_json
from local.provider.errors import ApiError, rate_limit
from local.provider.faults import Fault, as_error
from local.provider.ledger import Call
from local.provider.messages import MessagesRequest, parse_request
from local.provider.prompt_cache import InputUsage
from local.provider.rate_headers import rate_headers
from local.provider.script import next_reply
from local.provider.state import State

_PER_MINUTE = {"requests": "requests", "input_tokens": "input tokens", "output_tokens": "output tokens"}


class MessagesEndpoint:
    """An ASGI application for the one route that needs its connection."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = self._state.ledger.open(new_request_id())
        try:
            await self._answer(record, scope, receive, send)
        except ApiError as error:
            record.status = error.status
            await send_error(send, error, record.request_id, self._headers(record))
        except ConnectionError:
            record.client_gone = True
        finally:
            self._state.ledger.close(record)

    async def _answer(self, record: Call, scope: Scope, receive: Receive, send: Send) -> None:
        version = check_access(Headers(scope=scope))
        body = await read_json(receive)
        request = parse_request(body, self._state.models, version)
        call = self._admit(request, record, scope, send)
        if not await _unless(client_gone(receive), call.run()):
            record.client_gone = True

    def _admit(self, request: MessagesRequest, record: Call, scope: Scope, send: Send) -> ModelCall:
        """Raises ApiError: a broken directive, a fault that is an error, or a limit."""
        record.model = request.model.id
        record.messages = len(request.messages)
        record.stream = request.stream
        scripted = next_reply(request, self._state.settings)
        record.describe(scripted.conversation.first_text)
        record.user = request.user or scripted.user or ""
        fault = self._state.faults.pick(scripted.fault, scripted.conversation.key, scripted.step, request.model.id)
        self._raise_fault(fault, record, request.stream)
        usage = self._debit_input(request, record)
        return ModelCall(self._state, request, scripted.reply, fault, usage, record, self._headers(record), scope, send)

    def _raise_fault(self, fault: Fault | None, record: Call, stream: bool) -> None:
        if fault is None:
            return
        record.fault = fault.fault
        error = as_error(fault, stream)
        if error is None:
            return
        if error.status == 429:
            self._state.ledger.refused("fault")
        if error.status == 529 and record.model is not None:
            self._state.overloaded(record.model)
        raise error

    def _debit_input(self, request: MessagesRequest, record: Call) -> InputUsage:
        """Raises ApiError 429 that names the limit."""
        self._check_connections()
        usage = self._state.cache.usage(request)
        refusal = self._state.admit(request.model.id, record.user, usage.counted)
        if refusal is not None:
            self._state.ledger.refused(refusal.dimension)
            raise rate_limit(
                "This request would exceed the rate limit for your organization of "
                f"{refusal.limit:,.0f} {_PER_MINUTE[refusal.dimension]} per minute. For details, refer to: "
                "https://docs.claude.com/en/api/rate-limits. See the response headers for current usage.",
                refusal.retry_after,
            )
        self._state.cache.store(request)
        self._state.ledger.admitted()
        record.usage = {**asdict(usage), "output_tokens": 0}
        return usage

    def _check_connections(self) -> None:
        cap = self._state.settings.max_connections
        if cap is not None and self._state.ledger.in_flight > cap:
            self._state.ledger.refused("connections")
            raise rate_limit("Number of concurrent connections has exceeded your rate limit.", retry_after=1)

    def _headers(self, record: Call) -> Mapping[str, str]:
        """The rate headers need a model: an answer to a request that named none goes without."""
        headers = {"request-id": record.request_id}
        if record.model is None:
            return headers
        return {**headers, **rate_headers(self._state.limits(record.model))}


async def _unless(happens: Coroutine[Any, Any, None], work: Coroutine[Any, Any, None]) -> bool:
    """Do the work unless the other happens first, which cancels it. True when the work was done."""
    working, waiting = asyncio.create_task(work), asyncio.create_task(happens)
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        return working.done()
    finally:
        working.cancel()
        waiting.cancel()
