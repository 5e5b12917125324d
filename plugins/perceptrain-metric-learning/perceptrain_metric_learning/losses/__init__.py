"""One loss per file; `embedding_loss` and `proxy_loss` have the base classes."""
