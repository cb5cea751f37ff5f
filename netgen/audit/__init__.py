"""Is it the paper? Its claims measured, and networks, solvers, weights, data and logs inspected."""
