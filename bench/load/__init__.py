"""Traffic with known sums, and the client that sends it: a process of its own, light enough to
leave the machine to what is measured."""
