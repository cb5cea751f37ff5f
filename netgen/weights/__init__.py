"""Initial weights: a network's layers from another network's caffemodel (section 5.2)."""
