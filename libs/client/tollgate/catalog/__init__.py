"""The catalog as code: files in, what would change, bringing it about, and files out."""
