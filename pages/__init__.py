"""Pages and pictures of the documentation that are generated from the code.

``python -m pages`` writes them, ``python -m pages --check`` names those that are out of date. Each
module with a function ``build`` makes one page, or the pages and files of one kind.
"""
