"""The catalog as code: files in, what would change, all of it or nothing, and files out."""
