"""What the demo asks the shipped agents."""

from itertools import cycle, islice

PROMPTS: dict[str, tuple[str, ...]] = {
    "assistant": (
        "What is a job queue, in two sentences?",
        "Suggest a name for a small bakery by the sea.",
        "Why is the sky blue?",
        "Write a friendly reminder that the team lunch starts at noon.",
        "Explain idempotency to someone who has never programmed.",
        "Translate 'good morning, how are you?' into French.",
        "What should I check before I sign a lease for an apartment?",
        "Give me three ideas for a rainy Sunday with children.",
        "What is the difference between weather and climate?",
        "Summarise the plot of Romeo and Juliet in one sentence.",
    ),
    "researcher": (
        "A train covers 342 km in 2.5 hours. What is 342 / 2.5, and is that faster than 130 km/h?",
        "A loan of 12000 dollars costs 4.5 percent a year. How much is 12000 * 0.045 * 3 over three years?",
        "How many seconds have 365 days? Work out 365 * 24 * 60 * 60.",
        "We pack 1728 bottles into boxes of 24. How many boxes is 1728 / 24?",
        "A server handles 350 requests a second. How many is that a day: 350 * 60 * 60 * 24?",
        "What time is it now, and how many hours are left of the week?",
        "Three invoices say 1250, 980 and 1415. What is (1250 + 980 + 1415) / 3 on average?",
        "A garden is 18 by 32 metres. Work out 18 * 32 and note how many bags of seed that takes at 40 each.",
        "If 3 cups of rice feed 8 people, how many cups feed 50? Work out 50 * 3 / 8.",
        "Compare two plans: 12 * 29 against 12 * 19 + 149. Keep a note of the cheaper one.",
    ),
    "invoices": (
        "Which invoices are still unpaid, and to whom did they go?",
        "How much do our customers owe us in all?",
        "List all invoices and tell me the largest one.",
        "Please remind Grace of the unpaid invoice 2026-002.",
        "Has Ada paid everything that she was sent?",
        "Look up invoice 2026-003 and tell me its amount.",
        "List the invoices of this year by customer.",
        "Is invoice 2026-001 settled?",
        "Which customer has more than one invoice in the books?",
        "Prepare a short summary of the books for the weekly meeting.",
    ),
}


def prompts(agent: str, count: int) -> list[str]:
    """So many prompts for this agent; they repeat when there are not enough."""
    return list(islice(cycle(PROMPTS[agent]), count))
