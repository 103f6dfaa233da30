"""Durable execution without a server: tasks that carry their own signed history from device to device."""
