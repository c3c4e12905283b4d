"""Search spaces: which architectures a search may try, and the files that say so."""
