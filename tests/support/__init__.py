"""What several test modules share, by subject."""
