"""The names of files with tables."""

#: Of text.
TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
#: Of all formats that `read_columns` reads.
TABLE_SUFFIXES = (*TEXT_SUFFIXES, ".parquet", ".feather", ".arrow", ".npz", ".h5", ".hdf5")
