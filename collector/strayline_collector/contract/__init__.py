"""What was agreed: AsyncAPI documents that say which message goes where, from whom, to whom."""
