"""What a plan is made of: one kind of part a file, with its fields, its checks and its lines."""
