"""Training as the paper did it: a rate that drops at plateaus, and runs that resume to the bit."""
