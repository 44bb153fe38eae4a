"""Pure data: names, metadata, errors, tables and our own kinds. No I/O, no clock, no chance."""
