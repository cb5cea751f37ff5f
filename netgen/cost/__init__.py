"""What any prototxt costs: shapes, parameters, multiply-adds and memory."""
