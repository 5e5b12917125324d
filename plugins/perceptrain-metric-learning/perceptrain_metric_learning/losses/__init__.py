"""One loss, one file; what they share is in `embedding_loss` and `proxy_loss`."""
