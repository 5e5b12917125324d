"""HTML reports of run folders, made from their files alone."""
