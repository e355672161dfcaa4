"""Sending webhooks: couriers take deliveries from the outbox, each its own way, and nobody waits for them."""
