"""How well a network does on the test set: `evaluate.evaluate` gives a `results.Result`."""
