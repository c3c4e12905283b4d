"""Search spaces: which architectures a search may try, and the files that define them."""
