"""What is there to train with, what is not, and the next step for each: one page.

Each probe stands alone: what breaks one, a machine in any state included, is a finding and leaves
the others as they are.
"""
