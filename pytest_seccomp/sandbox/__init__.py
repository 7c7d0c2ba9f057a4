"""Programs in sandboxes of their own: starting them, deciding their calls, what they were denied. No pytest in it."""
