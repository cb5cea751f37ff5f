"""The figures of the paper, drawn from what netgen builds: laid out, then drawn."""
