"""The `capim` command. Each subcommand parses its options and calls one function elsewhere."""
