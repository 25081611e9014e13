"""The throttler's decisions on this node: received, kept on disk, enforced."""
