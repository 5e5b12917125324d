"""Problems with known solutions, ready to be trained and measured."""
