"""Which networks there are, what they are made of, and their prototxt."""
