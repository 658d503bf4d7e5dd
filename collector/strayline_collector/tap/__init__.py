"""What the broker itself says, beside what services send."""
