"""nginx's JSON access log as usage: each line exactly once."""
