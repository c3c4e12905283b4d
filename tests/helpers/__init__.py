"""What several test files share: runs and processes, records, networks, tables, servers."""
