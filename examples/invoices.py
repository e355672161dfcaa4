"""invoices: an agent that looks things up freely, and may delete only what a person has approved.

Name it in the settings to run it: SLUICE_WORKER__AGENTS='["examples.invoices"]'
"""

from pydantic import BaseModel

from worker.agents import Agent, Budget, ToolContext, tool


class Invoice(BaseModel):
    number: str
    customer: str
    euros: int
    paid: bool


_BOOKS = {
    invoice.number: invoice
    for invoice in (
        Invoice(number="2026-001", customer="Ada", euros=120, paid=True),
        Invoice(number="2026-002", customer="Grace", euros=80, paid=False),
        Invoice(number="2026-003", customer="Ada", euros=310, paid=False),
    )
}


@tool(effect="read")
async def list_invoices(only_unpaid: bool = False) -> list[Invoice]:
    """List the invoices in the books, all of them or only the unpaid ones."""
    return [invoice for invoice in _BOOKS.values() if not (only_unpaid and invoice.paid)]


@tool(effect="read")
async def lookup_invoice(number: str) -> Invoice:
    """Find an invoice by its number, such as 2026-002."""
    if number not in _BOOKS:
        raise LookupError(f"there is no invoice {number}")
    return _BOOKS[number]


@tool(effect="idempotent", timeout=30)
async def send_reminder(number: str, context: ToolContext) -> str:
    """Remind a customer of an unpaid invoice."""
    invoice = await lookup_invoice.function(number)
    context.logger.info("reminder_sent", invoice=number, idempotency_key=context.idempotency_key)
    return f"{invoice.customer} was reminded of invoice {number} over {invoice.euros} euros."


_DELETIONS: dict[str, str] = {}
"""What was deleted, by idempotency key. Real books would keep this beside the invoices, in one transaction."""


async def was_deleted(idempotency_key: str) -> str | None:
    """These books live in one process: what another one did before it died they cannot tell, so a person is asked."""
    number = _DELETIONS.get(idempotency_key)
    return f"Invoice {number} is deleted." if number else None


@tool(effect="irreversible", approval="always", timeout=30, verify=was_deleted)
async def delete_invoice(number: str, context: ToolContext) -> str:
    """Delete an invoice for ever."""
    _BOOKS.pop(number, None)
    _DELETIONS[context.idempotency_key] = number
    context.logger.info("invoice_deleted", invoice=number, idempotency_key=context.idempotency_key)
    return f"Invoice {number} is deleted."


invoice_agent = Agent(
    name="invoices",
    description="Answers questions about invoices; deletes one only with a person's approval.",
    system=(
        "You keep the invoices of a small company. Look a number up before you speak about it, "
        "and say plainly what you did."
    ),
    tools=[list_invoices, lookup_invoice, send_reminder, delete_invoice],
    budget=Budget(max_turns=20, max_cost_usd="0.50"),
)
