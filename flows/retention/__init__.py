"""What is old and of no use goes: sets, replies, and flow runs."""
